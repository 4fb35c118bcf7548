FROM service AS a
FROM a
ARG D=x
WORKDIR $D
