ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY names/-dash /-dash
COPY names/\$dollar "names/single'quote"  /quoted/
COPY 'names/quo"te' /"quote"
COPY names/\$dollar names/\${braced} /dollar/
COPY names/.hidden names/..double names/... /dots/
COPY names/#hash /hash#
COPY names/~ /~
COPY names/ünï-😀 /ü
