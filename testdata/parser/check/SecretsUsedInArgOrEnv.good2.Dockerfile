ARG API_KEY
FROM debian
RUN --mount=type=secret,id=api_key make
