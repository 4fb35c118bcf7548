# syntax=docker/dockerfile:1.6
FROM mcr.microsoft.com/dotnet/sdk:8.0 AS build
WORKDIR /src
RUN --mount=type=cache,id=dotnet-$TARGETARCH,target=/root/.nuget/packages,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=dotnet_token,env=DOTNET_CREDENTIALS <<EOF
set -eu
dotnet restore
dotnet publish -c Release -o out # as in the pipeline
mkdir -p /out && cp -r "out" /out/
EOF
FROM mcr.microsoft.com/dotnet/sdk:8.0
COPY --link --from=build /out/ /opt/dotnet/
WORKDIR /opt/dotnet
CMD ["dotnet", "out/App.dll"]
