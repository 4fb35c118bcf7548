# syntax=docker/dockerfile:1
ARG REGISTRY=docker.io
ARG VERSION=8.0
ARG VARIANT="-jammy"
ARG BASE=${REGISTRY}/mirror/dotnet:${VERSION}${VARIANT}

FROM --platform=${BUILDPLATFORM} ${BASE} AS build-any
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION
WORKDIR /src
COPY *.sln src/App/App.csproj ./
RUN dotnet restore
COPY . .
RUN target="${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}"; \
    case "$TARGETPLATFORM" in \
      linux/arm64) export CROSS=aarch64-linux-gnu- ;; \
      linux/arm/*) export CROSS=arm-linux-gnueabihf- ;; \
      *)           : ;; \
    esac; \
    echo "$target" > /target && dotnet publish -c Release -o out

FROM ${BASE} AS runtime
ARG VERSION
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.title="dotnet"
COPY --from=build-any /src/out /target /opt/app/
ENTRYPOINT ["dotnet", "out/App.dll"]
