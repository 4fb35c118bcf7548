FROM debian
ENV KEYS a b c
