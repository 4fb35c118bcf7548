FROM alpine
RUN echo a \  
    && echo b \	
    && echo c
ENV X=1 \ 
    Y=2
