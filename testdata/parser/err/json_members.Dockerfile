FROM debian:12
CMD ["a", ["b"]]
RUN [1]
SHELL ["a", null]
VOLUME [true]
SHELL bash -c
SHELL []
VOLUME ["", "a"]
VOLUME []
HEALTHCHECK CMD [{"a": 1}]
