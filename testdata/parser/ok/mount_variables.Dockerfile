FROM a
RUN --mount=type=$KIND,target=/a,sharing=${SHARE},ro=$RO x
RUN --mount=target=$T,source="$S",id=$I x
RUN --mount=type=cache,required=$R,target=/a x
