FROM debian:12
RUN --mount=type=secret,id=a,sharing=locked,size=1 x
RUN --mount=type=ssh,from=a,size=1,required=maybe x
RUN --mount=type=tmpfs,target=/a,from=b,uid=0,gid=0 x
RUN --mount=type=secret,env=A x
RUN --mount=type=cache,target=/a,from=${X} --mount=type=cache,sharing=exclusive y
RUN --mount=type=secret,source=a,id=b y
