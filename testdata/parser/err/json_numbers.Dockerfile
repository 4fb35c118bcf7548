FROM debian:12
CMD [1e3]
ENTRYPOINT ["a", -0.5, "b", {}]
ADD [[], "b"]
RUN [null]
COPY ["a", \
  # between
  false, \
  "b"]
ONBUILD CMD ["a", true]
