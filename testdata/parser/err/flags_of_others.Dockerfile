FROM --from=a debian
ADD --from=a b c
ADD --parents b c
COPY --checksum=a --unpack b c
RUN --link a
CMD --network=none a
ENV --x A=b
USER --x a
ONBUILD --link COPY a b
ONBUILD ADD --from=a b c
HEALTHCHECK --interval=1s --cmd=a CMD b
