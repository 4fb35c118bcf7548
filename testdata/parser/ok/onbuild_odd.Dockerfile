FROM debian:12
ONBUILD add --chown=a b /c
ONBUILD ARG A=1 B
ONBUILD RUN --mount=type=cache,target=/a --network=none b
ONBUILD \
  # between
  RUN a \
  b
OnBuild Label a="b c"
ONBUILD SHELL ["a"]
ONBUILD STOPSIGNAL 9
ONBUILD USER a
ONBUILD VOLUME /a
ONBUILD WORKDIR /a
ONBUILD EXPOSE 80
ONBUILD ENV A b
