FROM mcr.microsoft.com/dotnet/sdk:8.0
LABEL maintainer="dotnet people <dotnet@example.org>" \
      com.example.component="dotnet \"core\"" \
      com.example.port='5000'
ARG UID=1000
ARG GID=$UID
ENV DOTNET_NOLOGO=1 \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=5000
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 *.sln src/App/App.csproj $APP_HOME/
RUN dotnet restore
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "dotnet publish -c Release -o out"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:5000/ || exit 1"]
ENTRYPOINT ["dotnet", "out/App.dll"]
CMD ["--port", "5000"]
