FROM debian:12
RUN ["true"]
RUN [ "sh", "-c", "echo \"x\" \u00e9 \\" ]
RUN ["a",\
  "b"]
RUN --network=none ["a"]
