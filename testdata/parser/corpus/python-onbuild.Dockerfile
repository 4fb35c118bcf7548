FROM python:3.12
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY requirements.txt /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
python -m compileall .
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:8000
CMD ["python", "-m", "app"]
