FROM debian:12
RUN --mount=type=cache,id=$ID-${PLATFORM},target=${HOME:-/root}/.cache x
RUN --mount=type=bind,source=$SRC/a=b,target=/a x
RUN --mount=type=tmpfs,target=/t,size=${SIZE}m x
RUN --mount='"target=/a,b","source=c ""d"""' x
