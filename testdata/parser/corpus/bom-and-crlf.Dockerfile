# syntax=docker/dockerfile:1
FROM mcr.microsoft.com/dotnet/sdk:6.0 AS build
WORKDIR /src
COPY *.sln .
RUN dotnet restore \
    --no-cache
COPY . .
RUN dotnet build
ENTRYPOINT ["dotnet", "run"]
