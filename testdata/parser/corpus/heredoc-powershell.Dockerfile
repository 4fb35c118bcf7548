# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2022
SHELL ["powershell", "-Command"]
RUN <<EOF
Write-Host "one"
Write-Host `
  "two"
EOF
