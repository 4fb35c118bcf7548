ARG V=1
FROM service
ARG V
ENV A=$MODE$V B=${X:-x} C='$X'
RUN echo $X
USER ${EMPTY}root
