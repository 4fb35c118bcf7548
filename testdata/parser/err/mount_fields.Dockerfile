FROM debian:12
RUN --mount=type=,target=/a x
RUN --mount=type x
RUN --mount=type=volume,target=/a x
RUN --mount=type=cashe x
RUN --mount=type=bind,taget=/a,sorce=b x
RUN --mount=,target=/a x
RUN --mount=target=/a, x
RUN --mount=type=cache, target=/a x
RUN --mount=type=cache,target=/a,size=1m,required,env=A x
RUN --mount=type=bind,target=/a,readonly=yes,rw=no x
