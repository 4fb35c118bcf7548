# syntax=docker/dockerfile:1
FROM debian:12 AS tools
FROM debian:12
RUN --mount=type=bind,target=/src,rw --mount=type=bind,from=tools,source=/usr/bin,target=/tools,readonly true
RUN --mount=type=cache,id=apt-$TARGETARCH,target=/var/cache/apt,sharing=locked,uid=0,gid=0,mode=0755,from=tools,source=/var/cache/apt true
RUN --mount=type=tmpfs,target=/tmp,size=64m --mount=type=tmpfs,dst=/scratch true
RUN --mount=type=secret,id=aws,target=/root/.aws/credentials,required=true,mode=0400,uid=0 \
    --mount=type=secret,id=token,env=TOKEN \
    --mount=type=secret,src=netrc,dst=/root/.netrc \
    --mount=type=ssh,id=default,required \
    git ls-remote git@git.example.com:team/x.git
RUN --mount=dst=/ctx ls /ctx
