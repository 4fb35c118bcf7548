FROM mcr.microsoft.com/dotnet/sdk:8.0-jammy AS deps
WORKDIR /src
COPY *.sln src/App/App.csproj ./
RUN dotnet restore

FROM deps AS build
COPY . .
RUN dotnet publish -c Release -o out

FROM build AS test
RUN ./ci/test.sh --junit /reports/dotnet.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM mcr.microsoft.com/dotnet/sdk:8.0-jammy
WORKDIR /srv/dotnet
COPY --from=build --chown=65532:65532 /src/out ./out
USER 65532
EXPOSE 5000/tcp
ENTRYPOINT ["dotnet", "out/App.dll"]
