FROM debian:12
ENV A=${B:-a b}
ARG C=${D:-e =f}
LABEL g=h i
