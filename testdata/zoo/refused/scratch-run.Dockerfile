# kiln says: executable file `/bin/sh` not found
# docker says: executor failed running [/bin/sh -c true]: exit code: 1
FROM scratch
RUN true
