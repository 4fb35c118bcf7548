ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN echo "a  b" > /1 && echo 'single $HOME' >> /1
RUN ["sh", "-c", "echo $0 $1 > /2", "zero", "one two"]
RUN [ -d /etc ] && echo bracket > /3
RUN echo a; \
    # comment inside
    echo b > /4
RUN   echo leading    blanks   > /5
RUN echo "\$HOME \\ $HOME" > /6 ; echo \$HOME >> /6
RUN echo '#no comment' > /7 #comment
RUN ["/bin/sh", "-c", "printf 'a\tb\u00fc' > /8"]
RUN echo a | cat > /9 || echo failed
RUN set -e; for i in 1 2 3; do echo $i; done > /10
SHELL ["/bin/sh", "-euc"]
RUN echo $- > /11
SHELL ["/bin/busybox", "sh", "-c"]
RUN echo $0 > /12
CMD echo cmd
ENTRYPOINT echo entry
