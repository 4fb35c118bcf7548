FROM debian:12
RUN["a"]
CMD<<EOF
