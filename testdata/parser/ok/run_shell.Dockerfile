FROM debian:12
RUN apt-get update && apt-get install -y gcc
RUN [ -f /x ] && echo yes
RUN [ "$a" = "b" ]
RUN echo 'it''s' "$HOME" \$x
RUN -x
RUN -- --x
