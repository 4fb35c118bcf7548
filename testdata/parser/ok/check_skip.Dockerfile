# check=skip=StageNameCasing,MaintainerDeprecated
FROM debian AS Build
MAINTAINER me
# check=skip=LegacyKeyValueFormat
ENV A b
ENV B c
# check=skip=LegacyKeyValueFormat
#
ENV C d
# check=skip=all
# a note

env D e
