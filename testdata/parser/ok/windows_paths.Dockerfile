# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2022
SHELL ["powershell", "-Command"]
WORKDIR C:\app
COPY --chown=a ["a b\\", "C:\\x"]
RUN Get-Item `
  -Path C:\ # not a comment
ENV PATH="C:\bin;${PATH}" X=C:\
VOLUME C:\data D:\
