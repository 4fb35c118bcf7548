#escape=`
FROM mcr.microsoft.com/powershell:nanoserver-1809 as download
ENV NODE_VERSION=18.16.0
RUN Invoke-WebRequest -OutFile node.zip "https://nodejs.example.org/dist/v$env:NODE_VERSION/node.zip" ; `
    Expand-Archive node.zip -DestinationPath C:\ ;
FROM mcr.microsoft.com/windows/nanoserver:1809
COPY --from=download C:\node C:\nodejs
USER ContainerUser
CMD [ "node.exe" ]
