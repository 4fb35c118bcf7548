FROM debian:12
RUN --mount=type=bind,src=a,dst=/b,readonly=false,rw=false x
RUN --mount=type=cache,destination=/c,sharing=PRIVATE,source=s,ro x
RUN --mount=TYPE=tmpfs,TARGET=/t x
RUN --mount=type=secret,src=s,dst=/t,uid=$U,gid=0,mode=$MODE x
RUN --mount=type=secret,target=/only x
RUN --mount=type=ssh,id=,target=/agent,mode=0600,uid=1,gid=2,required=false x
RUN --mount=target=/a,target=/b x
RUN --mount=type=bind,from=cost$,target=/a x
