# check=experimental=InvalidDefinitionDescription
#
# VERSION is what is built
ARG VERSION=1
# some words
# base is the beginning
FROM scratch AS base
# only a note

ARG A
# only a note
#
ARG B
# about the next line
RUN x
