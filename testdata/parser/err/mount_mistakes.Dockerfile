FROM debian:12
RUN --mount=type=chache,target=/a a
RUN --mount=tpye=cache a
RUN --mount=target a
RUN --mount=type=cache,target=/a,sharing=lock a
RUN --mount=type=bind,from=$X,target=/a a
RUN --mount=ro=maybe,target=/a a
RUN --mount=type=bind,target=/a,size=1,uid=0,required a
RUN --mount=type=secret a
RUN --mount=type=secret,id=a,source=b,from=c a
RUN --mount=type=tmpfs,target=/a,sharing=shared,mode=1 a
RUN --mount=a\"b a
RUN --mount=\"target=/a a
RUN --mount= a
RUN --mount=foo a
