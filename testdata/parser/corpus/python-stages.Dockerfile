FROM python:3.12-slim AS deps
WORKDIR /src
COPY requirements.txt ./
RUN pip install -r requirements.txt

FROM deps AS build
COPY . .
RUN python -m compileall .

FROM build AS test
RUN ./ci/test.sh --junit /reports/python.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM python:3.12-slim
WORKDIR /srv/python
COPY --from=build --chown=65532:65532 /src/src ./src
USER 65532
EXPOSE 8000/tcp
ENTRYPOINT ["python", "-m", "app"]
