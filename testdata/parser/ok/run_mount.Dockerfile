FROM debian:12
RUN --mount=target=/a ls
RUN --mount=type=bind,from=base,source=/s,target=/t,rw a
RUN --mount=type=cache,target=/root/.cache,id=go,sharing=locked,mode=0755,uid=1000,gid=1000 a
RUN --mount=type=cache,dst=$HOME/c,from=base,src=x,ro=false a
RUN --mount=type=tmpfs,destination=/tmp,size=64m a
RUN --mount=type=secret,id=token,env=TOKEN,required a
RUN --mount=type=secret,id=token,target=/t,mode=0400,required=true a
RUN --mount=type=ssh a
RUN --mount=type=ssh,id=k,readonly=0 --mount=Type=SECRET,Id=a,readwrite=T b
RUN --mount=type=bind,readonly,target=/a\ b --mount="type=cache,target=/c d" x
RUN --mount=type=cache,\
target=/v \
  --mount=type=tmpfs,target=/w y
RUN --mount=\"target=/a,b\",ro z
