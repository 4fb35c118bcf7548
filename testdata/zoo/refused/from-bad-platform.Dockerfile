# kiln says: platform `a/b/c/d` has no valid form; it is written os/arch or os/arch/variant
# docker says: failed to parse platform a/b/c/d: "a/b/c/d": cannot parse platform specifier: invalid argument
ARG REGISTRY
FROM --platform=a/b/c/d ${REGISTRY}/busybox
RUN true
