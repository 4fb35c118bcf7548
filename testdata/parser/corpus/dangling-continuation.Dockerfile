FROM alpine
RUN echo one && \
    echo two && \
    # echo three && \
    echo four
CMD ["sh"] \
