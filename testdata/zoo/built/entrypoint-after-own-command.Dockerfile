ARG REGISTRY
FROM ${REGISTRY}/busybox
CMD ["mine"]
ENTRYPOINT ["/bin/echo", "a b", "$HOME", "\u00fc"]
