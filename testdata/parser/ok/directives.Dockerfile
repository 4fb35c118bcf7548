# syntax=docker/dockerfile:1
#  ESCAPE = \
# check=skip=JSONArgsRecommended;error=true
# no directive
# escape=`
FROM debian
