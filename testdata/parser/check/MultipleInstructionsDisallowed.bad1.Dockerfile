FROM debian
CMD ["a"]
RUN make
CMD ["b"]
