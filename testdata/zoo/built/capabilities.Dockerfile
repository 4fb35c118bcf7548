ARG REGISTRY
FROM ${REGISTRY}/debian AS first
RUN perl -e 'open F, ">/c"; print F "x"; close F; my $v = pack("VVVVV", 0x02000001, 0x400, 0, 0, 0); my $f = "/c"; my $n = "security.capability"; syscall(188, $f, $n, $v, 20, 0) == 0 or die $!'
RUN cp --preserve=all /c /copied && ln /c /hard
RUN chmod 755 /c
RUN chown 5 /hard
RUN perl -e 'my $f = "/copied"; my $n = "security.capability"; syscall(197, $f, $n) == 0 or die $!'
FROM scratch
COPY --from=first /c /hard /copied /
