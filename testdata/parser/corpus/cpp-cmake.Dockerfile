FROM ubuntu:22.04 AS builder
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q && apt-get install -yq --no-install-recommends \
        cmake \
        g++-12 \
        libboost-all-dev \
        libssl-dev \
        ninja-build \
    && rm -rf /var/lib/apt/lists/* \
    && update-alternatives --install /usr/bin/c++ c++ /usr/bin/g++-12 100
WORKDIR /src
COPY CMakeLists.txt ./
COPY cmake cmake
COPY include include
COPY src src
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS="-O3 -march=x86-64-v2" \
 && cmake --build /build --parallel "$(nproc)" \
 && cmake --install /build --prefix /install --strip

FROM ubuntu:22.04
COPY --from=builder /install /usr/local
RUN ldconfig
ENTRYPOINT ["/usr/local/bin/engine"]
CMD ["--config", "/etc/engine.yaml"]
