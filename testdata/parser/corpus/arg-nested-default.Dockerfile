ARG MAJOR=3
ARG MINOR=12
ARG PYTHON=${MAJOR}.${MINOR}
ARG SUFFIX=${PYTHON:+-slim}
FROM python:${PYTHON}${SUFFIX}
ARG EXTRA="--quiet --no-cache-dir"
RUN pip install ${EXTRA} requests
