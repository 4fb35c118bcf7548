FROM debian
RUN make
CMD ["a"]
