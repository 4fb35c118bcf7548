ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD --chown=5:6 archives/owners.tar /one/
ADD --chown=worker archives/plain.tar /two/
ADD --chmod=640 archives/plain.tar /three/
ADD --chown=7 --chmod=755 one.txt archives/links.tar /four/
ADD --exclude=sub archives/plain.tar /five/
