# arguments: --build-arg A=given
ARG REGISTRY
ARG A=outer
FROM ${REGISTRY}/busybox AS first
RUN echo "[$A]" > /seen
ARG A=inner
ENV E=$A
RUN echo "[$A]" >> /seen
FROM first AS child
RUN echo "[$A][$E]" >> /seen
ARG A
RUN echo "[$A]" >> /seen
FROM ${REGISTRY}/busybox
ARG A
RUN echo "[$A]" > /own
COPY --from=first /seen /first
COPY --from=child /seen /child
