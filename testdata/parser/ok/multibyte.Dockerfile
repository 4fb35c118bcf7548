FROM debian AS b
RUN écho "日本" \
  ü && ö
LABEL ключ="значе\
ние"
COPY --chown=ж ä\
ö /ü
