ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY *.txt /texts/
COPY o* /both/
COPY d*/* /children/
COPY */a.txt /merged/
COPY */sub/c* /below/
COPY [ot]*.[tm]* /sets/
COPY nothing* one.txt /some/
COPY ?ne.txt /single
COPY . dir/* /all-in-one/
