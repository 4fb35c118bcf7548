ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --parents --exclude=**/*.o project/./src /one/
COPY --parents --exclude=project/src/*.c project/src /two/
COPY --parents --exclude=src/lib project/./src /three/
