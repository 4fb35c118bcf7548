FROM --platform=a --platform=b debian
COPY --link --link=false --chown=a --chown=b --chmod=1 --chmod=1 a b
RUN --network=none --network=host a
HEALTHCHECK --retries=1 --retries=2 CMD a
ADD --checksum=a --checksum=b --unpack --unpack c d
