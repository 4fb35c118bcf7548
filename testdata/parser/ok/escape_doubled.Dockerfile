FROM debian:12
RUN echo a \\
RUN echo b \\\
RUN echo c \ d
RUN echo e\\
CMD f
