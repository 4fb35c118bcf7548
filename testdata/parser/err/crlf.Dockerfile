FROM debian
RNU a \
  b
COPY --x a \
 b
