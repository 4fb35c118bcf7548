ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /m/dir && touch /m/file /m/owned /m/dir/inside && ln -s file /m/link && echo x > /m/same
RUN chmod 4755 /m/file
RUN chown 7:8 /m/owned && chown -h 9:9 /m/link
RUN chmod 1770 /m/dir && chown :5 /m/dir
RUN touch -d @0 /m/same
RUN true
RUN chmod 750 / && chmod 700 /tmp
