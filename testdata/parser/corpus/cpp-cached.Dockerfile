# syntax=docker/dockerfile:1.6
FROM gcc:13 AS build
WORKDIR /src
RUN --mount=type=cache,id=cpp-$TARGETARCH,target=/var/cache/apt,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=cpp_token,env=CPP_CREDENTIALS <<EOF
set -eu
apt-get update && apt-get install -y --no-install-recommends cmake
cmake -B build && cmake --build build # as in the pipeline
mkdir -p /out && cp -r "build" /out/
EOF
FROM gcc:13
COPY --link --from=build /out/ /opt/cpp/
WORKDIR /opt/cpp
CMD ["build/app"]
