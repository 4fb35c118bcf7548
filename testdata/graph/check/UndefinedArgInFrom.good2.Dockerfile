FROM --platform=$BUILDPLATFORM debian:${V:-12}
