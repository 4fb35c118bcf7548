ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY ["names/with space", "/with space"]
COPY ["names/-dash", "/-dash"]
COPY ["names/ünï-😀", "/ünï-😀"]
COPY ["names/a,b", "names/co:lon", "names/per%20cent", "/several of them/"]
COPY ["names/#hash", "names/!bang", "names/~", "/signs/"]
COPY ["names/--from=x", "names/<<EOF", "/flags/"]

