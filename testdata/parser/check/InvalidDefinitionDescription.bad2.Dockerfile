# check=experimental=all
#
# the versions
ARG GO=1 NODE=2
# builds it all
FROM scratch AS base
# VERSIONS of it
ARG VERSION
