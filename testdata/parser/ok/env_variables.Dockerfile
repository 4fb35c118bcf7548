FROM debian:12
ENV A=$B C=${D} E=${F:-g} H=${I:+"j k"} L='$M' N=\$O
ENV P=${Q#*/} R=${S%%.*} T=${U//a/b}
ENV PATH=/a:$PATH LD="${LD:-/x y}" É=é
