FROM registry.access.redhat.com/ubi9/ubi-minimal:9.3-1552
LABEL name="example" \
      summary="A summary" \
      io.k8s.display-name="Example" \
      io.openshift.tags="a,b,c"
USER 0
RUN microdnf -y --nodocs --setopt=install_weak_deps=0 install shadow-utils tar \
    && microdnf clean all \
    && rm -rf /mnt/rootfs/var/cache/* /mnt/rootfs/var/log/dnf* /mnt/rootfs/var/log/yum.*
COPY --chown=1001:0 licenses /licenses
USER 1001
