# BuildKit loses the capabilities of a context's files when it sets their owner.
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --chmod=u=rwX,go=rX modes /read
COPY --chmod=a-s,+t modes /sticky
COPY --chmod=go-w,u+x one.txt /one
COPY --chmod=g=u,o= modes /group
COPY --chmod=+x one.txt /plus
COPY --chmod=a=r,u+w,ug+x one.txt /several
COPY --chmod=u+s,g+s one.txt /setid
COPY --chmod=o-rwx dir /made/by/copy/
COPY --chmod=a-x,a+X modes /conditional
ADD --chmod=u=rw,go= one.txt /added
COPY --chmod==rw one.txt /all
