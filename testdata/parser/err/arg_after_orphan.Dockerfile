ARG A
RUN a
ARG B
FROM debian
