from mcr.microsoft.com/dotnet/sdk:8.0 as build
workdir /app
add . .
run dotnet restore && dotnet publish -c Release -o out
env DOTNET_NOLOGO 1
expose 5000
volume /app/data
cmd dotnet out/App.dll
