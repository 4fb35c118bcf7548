# a comment
ENV A=b
ARG C
RUN d
LABEL e
FROM debian
RUN f
