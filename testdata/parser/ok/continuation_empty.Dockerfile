FROM debian:12
RUN one \

    two \
   
    three
ENV A=1
