ARG REGISTRY
FROM ${REGISTRY}/busybox
ENV A=1 G=
ENV I=${NOPE-a}${G-b}${A+c}${G+d}${NOPE+e}
ENV P=a.b.c/d.e/f
ENV S1=${P#*.} S2=${P##*.} S3=${P%.*} S4=${P%%.*} S5=${P/./-} S6=${P//./-} S7=${P//[a-c]/x} S8=${P#a} S9=${P%f} S10=${P/nothing/x}
ENV N=${NOPE:-${A}} M=${NOPE:-"quoted $A"} O=${A:+${P}} Q="${P%/*}" R=${P#*/} T=${P//\//_}
LABEL s="$S1 $S2 $S3 $S4 $S5 $S6 $S7"
COPY one.txt /${P##*/}
WORKDIR /w/${P%%.*}
EXPOSE ${PORT:-8080}/tcp
