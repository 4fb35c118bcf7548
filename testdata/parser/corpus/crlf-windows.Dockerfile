# escape=`
FROM mcr.microsoft.com/windows/nanoserver:ltsc2022
COPY . C:\app\
WORKDIR C:\app
RUN dir `
  && echo done
CMD ["app.exe"]
