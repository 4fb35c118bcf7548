ARG REGISTRY
FROM ${REGISTRY}/busybox
ENV A=1 B="two words" C='single $A' D=a\ b E=$A$B F="$A-${B}" G=
ENV OLD one  two   "three"
ENV H=${A:-x}${NOPE:-y}${A:+z}${NOPE:+w} I=${G:-c} J=\$A K="\$A" L='\$A'
ENV A=changed M=$A
ENV N=$A O="a\"b" P=a'b c'd"e f" Q=a=b=c R="" S=''
ENV PATH=/x:$PATH
ENV T="multi \
line" U=a\
b
ENV V="tab	and\ttext" W=\\ X="\\" Y='\\' Z=ünï
RUN env | grep -E '^[A-Z]=' > /env; env | grep -E '^(OLD|PATH)=' >> /env
LABEL all="$A $B $C" none=$NOPE
