FROM alpine
ARG CACHE=/var/cache/apk
ARG MODE=0700
ARG KIND=cache
ARG SHARE=locked
ARG RO=false
RUN --mount=type=$KIND,target=${CACHE},sharing=${SHARE},mode=$MODE,ro=$RO apk add bash
RUN --mount=type=secret,id=${KIND}-secret,required=${RO} true
