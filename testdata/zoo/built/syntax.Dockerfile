# A comment before everything

ARG REGISTRY
FROM ${REGISTRY}/busybox AS Base
from ${REGISTRY}/busybox as Mixed
Copy one.txt \
   \
   # a comment
   /mixed

run echo \

continued > /continued
	RUN echo indented > /indented
RUN echo trailing blanks > /trailing   
CoPy --from=base /etc/passwd /p
LABEL a=b \
# comment
      c=d \
# last
      e=f
