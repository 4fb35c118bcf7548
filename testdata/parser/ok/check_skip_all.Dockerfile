# check=skip=all
from debian AS Build
Run a \

 b
MAINTAINER me
