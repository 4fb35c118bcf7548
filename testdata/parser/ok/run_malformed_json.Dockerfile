FROM debian:12
RUN ['a', 'b']
CMD ["a" "b"]
ENTRYPOINT ["a",]
RUN [a, b]
