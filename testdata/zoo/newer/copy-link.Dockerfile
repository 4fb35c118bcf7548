ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /existing/sub && chmod 700 /existing && chown 5:6 /existing && touch /existing/kept && ln -s /existing /to && touch /file
COPY --link one.txt /existing/
COPY --link dir /existing
COPY --link --chown=7:8 dir /new/place/
COPY --link --chmod=600 one.txt two.txt /mode/
COPY --link one.txt /to/through
COPY --link one.txt /file
COPY --link links /links
COPY --link hard /hard
WORKDIR /work
COPY --link one.txt relative/
COPY --link one.txt .
ADD --link archives/plain.tar /unpacked/
RUN ls -R /existing /to > /seen
