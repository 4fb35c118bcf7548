# The python service, in the plainest way.
FROM python:3.12
WORKDIR /app
COPY . /app
RUN pip install -r requirements.txt \
 && python -m compileall .
ENV PYTHONUNBUFFERED=1
EXPOSE 8000
CMD ["python", "-m", "app"]
