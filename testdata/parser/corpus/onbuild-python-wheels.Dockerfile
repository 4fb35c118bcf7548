FROM python:3.9
ONBUILD COPY requirements.txt /
ONBUILD RUN --mount=type=cache,target=/root/.cache/pip pip wheel -w /wheels -r /requirements.txt
ONBUILD WORKDIR /srv
ONBUILD EXPOSE 80
ONBUILD USER nobody
ONBUILD HEALTHCHECK CMD curl -f http://localhost/
