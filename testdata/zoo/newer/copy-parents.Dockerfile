ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --parents dir/sub/c.txt dir/a.txt /one/
COPY --parents dir /two/
COPY --parents ./dir/./sub/c.txt /pivot/
COPY --parents project/./src/**/*.c /below/
COPY --parents project/./*/lib/*.h /star
COPY --parents **/README.md /any-depth/
COPY --parents project/src/./lib/ /slash/
COPY --parents modes/dir-2770/file modes/./dir-1777 /modes/
COPY --parents --chown=5:6 modes/./dir-2770/file /owned/
COPY --parents --chmod=700 dir/./sub /chmod/
COPY --parents hard/first hard/sub/third /hard/
COPY --parents nothing*/x /nothing/
