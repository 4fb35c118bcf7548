# syntax=docker/dockerfile:1
# check=skip=JSONArgsRecommended,StageNameCasing;error=false
FROM alpine AS Base
# check=skip=LegacyKeyValueFormat
ENV KEY value
CMD echo hi
