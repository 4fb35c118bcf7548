ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY names/[[]set] /set
COPY names/star\* /star
COPY names/question[?] /question
COPY names/dir* /dir/
COPY names/[^a-zA-Z.]* /signs/
COPY names/????? /five/
COPY names/*[!a-z] /ends/
