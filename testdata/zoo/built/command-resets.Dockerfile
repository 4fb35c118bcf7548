ARG REGISTRY
FROM ${REGISTRY}/busybox AS base
CMD ["one"]
ENTRYPOINT ["two"]
FROM base AS kept
CMD ["three"]
FROM base AS cleared
ENTRYPOINT ["four"]
FROM cleared
COPY --from=kept /etc/passwd /kept
COPY --from=cleared /etc/passwd /cleared
CMD []
ENTRYPOINT ["/bin/echo"]
CMD ["a"]
CMD echo shell $HOME
ENTRYPOINT []
