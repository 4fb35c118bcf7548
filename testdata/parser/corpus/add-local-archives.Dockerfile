FROM scratch
ADD rootfs.tar.xz /
ADD overlay.tar.gz overlay2.tgz /
ADD --unpack=false keep.tar.bz2 /archives/
CMD ["/bin/bash"]
