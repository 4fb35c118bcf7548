FROM debian:12
RUN echo "a  b"   'c  d'   \\  \n
RUN echo é 日本 😀 && printf '\x00'
RUN a; b & c | d > e 2>&1 < f
RUN for i in 1 2; do \
      echo "$i"; \
    done
RUN echo \
    "one \
    two" \
    # a comment
    three
RUN : {a,b} $(c) `d` $((1 + 2)) "${x[@]}"
