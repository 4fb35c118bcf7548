# syntax=docker/dockerfile:1.6
FROM python:3.12 AS build
WORKDIR /src
RUN --mount=type=cache,id=python-$TARGETARCH,target=/root/.cache/pip,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=python_token,env=PYTHON_CREDENTIALS <<EOF
set -eu
pip install -r requirements.txt
python -m compileall . # as in the pipeline
mkdir -p /out && cp -r "src" /out/
EOF
FROM python:3.12
COPY --link --from=build /out/ /opt/python/
WORKDIR /opt/python
CMD ["python", "-m", "app"]
