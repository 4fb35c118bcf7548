FROM mcr.microsoft.com/dotnet/sdk:8.0
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY *.sln src/App/App.csproj /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/root/.nuget/packages dotnet restore
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
dotnet publish -c Release -o out
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:5000
CMD ["dotnet", "out/App.dll"]
