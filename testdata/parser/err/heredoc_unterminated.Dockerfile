FROM debian:12
RUN <<EOF
echo a
CMD never seen
