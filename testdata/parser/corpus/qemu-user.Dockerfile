FROM --platform=$TARGETPLATFORM debian:12 AS target
FROM --platform=$BUILDPLATFORM multiarch/qemu-user-static AS qemu
FROM target
COPY --from=qemu /usr/bin/qemu-aarch64-static /usr/bin/
