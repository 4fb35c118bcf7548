FROM scratch
ENV A=1 B="two words" C=three\ words D='four $words' \
    E=$A F=${A:-none} G=${UNSET_ON_PURPOSE:-default} H=${A:+set} I="${A}${B}" \
    J=
