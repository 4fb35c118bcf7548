ARG A
ARG B=b C="c d" D=
# between
ARG E=${B:-x}
FROM debian:$B
ARG A
ARG LATER=1
