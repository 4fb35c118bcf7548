# arguments: --secret id=given,src=ZOO/one.txt
ARG REGISTRY
FROM ${REGISTRY}/busybox AS tree
RUN mkdir /t && echo x > /t/in
FROM ${REGISTRY}/busybox
RUN mkdir /existing && touch /existing/file
RUN --mount=type=bind,source=modes,target=/m stat -c '%n %a %u %g %s %F' /m /m/* > /modes
RUN --mount=type=bind,source=modes/dir-2770,target=/m stat -c '%a %u %g' /m > /dir
RUN --mount=type=bind,source=links,target=/m cd /m && for l in *; do echo "$l $(readlink $l)"; done > /links
RUN --mount=type=bind,source=links/to-dir,target=/m ls /m > /through
RUN --mount=type=bind,source=one.txt,target=/m/one cat /m/one > /file; ls -d /m >> /file
RUN --mount=type=bind,from=tree,source=/t,target=/m,rw echo changed > /m/in && cat /m/in > /rw
RUN --mount=type=bind,from=tree,source=/t,target=/m cat /m/in > /unchanged
RUN --mount=type=tmpfs,target=/existing,size=1m stat -c '%a %u %g' /existing > /tmpfs; df -k /existing | tail -1 | awk '{print $2}' >> /tmpfs; ls /existing >> /tmpfs
RUN --mount=type=cache,target=/c,mode=0711,uid=5,gid=6 stat -c '%a %u %g' /c > /cache
RUN --mount=type=secret,id=absent ls /run/secrets > /secrets 2>&1 || true
RUN --mount=type=secret,id=given,env=TOKEN echo ${#TOKEN} > /env
RUN --mount=type=secret,id=given,target=/deep/er/secret,mode=0440,uid=5,gid=6 stat -c '%a %u %g %s' /deep/er/secret > /secret; ls -d /deep/er >> /secret
RUN ls -la /m /c /deep /existing 2>&1 | grep -v -e ' [.]$' -e ' [.][.]$' -e total | awk '{print $1, $3, $4, $NF}' > /left
ARG WHERE=/variable
RUN --mount=type=bind,source=dir,target=${WHERE}/here ls ${WHERE}/here > /variable-target
