FROM scratch
COPY target /
