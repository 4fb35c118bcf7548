FROM debian AS Build
RUN make
