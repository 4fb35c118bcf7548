#!/usr/bin/env -S kiln build -f
FROM debian:12 AS run
# check=skip=JSONArgsRecommended
CMD a
