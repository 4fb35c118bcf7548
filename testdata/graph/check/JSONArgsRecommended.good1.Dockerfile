FROM debian:12
ENTRYPOINT ["me"]
CMD ["a"]
RUN make
