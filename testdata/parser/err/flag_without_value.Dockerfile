FROM --platform debian
FROM debian
RUN --network a
RUN --device a
COPY --chown --chmod --exclude a b
ADD --checksum a b
HEALTHCHECK --interval CMD a
COPY --=x a b
COPY --from a
