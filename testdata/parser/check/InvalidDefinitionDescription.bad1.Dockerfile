# check=experimental=InvalidDefinitionDescription
FROM scratch AS one

# a comment about something
FROM scratch AS base
# another one
ARG VERSION=1
