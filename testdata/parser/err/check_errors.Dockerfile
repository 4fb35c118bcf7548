# check=error=true;skip=FromAsCasing
FROM debian as Build
MAINTAINER me
