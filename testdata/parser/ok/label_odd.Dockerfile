FROM debian:12
LABEL "a b"="c d" 'e'='f' g=
LABEL org.example/x-y_z.1=1 ü=ö "multi"="line \
  two" \
  # a comment
  last='$X'
LABEL a\ b=c\ d
LABEL "legacy key" value with = sign
