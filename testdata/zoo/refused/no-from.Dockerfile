# kiln says: no build stage in current context
# docker says: no build stage in current context
ARG A
RUN true
