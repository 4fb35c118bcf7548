# escape=`
FROM windows
RUN a `` b `
    c\
ENV A=a`"b B="x `" y" C='`'
LABEL d="e`
f"
COPY --chown=a`` b` c d
ENV P=`$Q
