FR\
OM debian
WORK\
DIR /a
