FROM alpine AS s0
FROM s0 AS s1
RUN touch /1
FROM s1 AS s2
RUN touch /2
FROM s0 AS s3
COPY --from=s2 /2 /3
FROM s0 AS s4
COPY --from=s3 /3 /4
FROM scratch AS s5
COPY --from=s4 / /
FROM s5 AS s6
ENV S=6
FROM s6 AS s7
ENV S=${S}7
FROM s7 AS s8
LABEL s=$S
FROM s8 AS s9
FROM s9 AS s10
FROM s10 AS s11
COPY --from=s0 /etc/hosts /
