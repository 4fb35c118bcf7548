FROM gcc:13 AS b
COPY hello.c /
RUN gcc -static -Os -s -o /hello /hello.c
FROM scratch
COPY --from=b /hello /
CMD ["/hello"]
