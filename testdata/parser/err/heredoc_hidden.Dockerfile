FROM debian:12
RUN echo it's <<EOF
RNU x
EOF
RUN echo ${x^^} 3<<-"A b"
RUN echo "a << b
RUN cat <<<"x
