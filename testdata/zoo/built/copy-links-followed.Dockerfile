ARG REGISTRY
FROM ${REGISTRY}/busybox
# A source that is itself a link is followed, within the context; one found below a source is copied.
COPY links/relative /relative
COPY links/dotted /dotted
COPY links/absolute /absolute
COPY links/chain /chain
COPY links/to-dir /to-dir
COPY links/to-dir/ /to-dir-slash/
COPY links/to-dir-slash /slash-in-target
COPY links/absolute-dir /absolute-dir
COPY links/to-dir/inside /inside
COPY links/to-dir/out /out
COPY links/out-and-in /out-and-in
