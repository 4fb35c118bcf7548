FROM gcc:13
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY CMakeLists.txt /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/var/cache/apt apt-get update && apt-get install -y --no-install-recommends cmake
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
cmake -B build && cmake --build build
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:7000
CMD ["build/app"]
