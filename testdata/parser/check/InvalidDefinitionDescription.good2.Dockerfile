# a comment about something
FROM scratch AS base
# another one
ARG VERSION=1
