# The dotnet service, in the plainest way.
FROM mcr.microsoft.com/dotnet/sdk:8.0
WORKDIR /app
COPY . /app
RUN dotnet restore \
 && dotnet publish -c Release -o out
ENV DOTNET_NOLOGO=1
EXPOSE 5000
CMD ["dotnet", "out/App.dll"]
