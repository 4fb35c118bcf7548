FROM alpine:3.19 AS z
ARG ZIG=0.11.0
ADD https://ziglang.example.org/download/${ZIG}/zig-linux-x86_64-${ZIG}.tar.xz /tmp/
RUN tar -xJf /tmp/zig-linux-x86_64-$ZIG.tar.xz -C /opt && ln -s /opt/zig-linux-x86_64-$ZIG/zig /usr/bin/zig
COPY build.zig src/ ./
RUN zig build -Doptimize=ReleaseSmall
FROM scratch
COPY --from=z /zig-out/bin/main /main
ENTRYPOINT ["/main"]
