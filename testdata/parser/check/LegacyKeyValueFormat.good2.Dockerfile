FROM debian
ENV A=b \
    C=d
