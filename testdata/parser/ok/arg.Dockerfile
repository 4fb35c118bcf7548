FROM debian:12
ARG A
ARG B=1 C D="e f" E=
ARG F=$A
ARG G="open
