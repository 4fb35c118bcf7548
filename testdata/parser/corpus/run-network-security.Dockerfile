# syntax=docker/dockerfile:1
FROM alpine
RUN --network=none pip install --find-links wheels mypackage
RUN --network=default wget -q example.org
RUN --security=sandbox id
