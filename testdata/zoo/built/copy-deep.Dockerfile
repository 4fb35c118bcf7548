ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY deep /deep
COPY deep/level-1/level-2/level-3/level-4/level-5 /part
COPY deep/*/*/*/level-4 /wild/
