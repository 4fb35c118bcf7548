FROM debian:12
LABEL a=b
LABEL org.example.title="A title" "org.example.x"="y z" \
      c='d'
LABEL e="f\
g"
