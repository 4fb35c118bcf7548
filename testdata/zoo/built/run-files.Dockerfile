ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN umask 077 && echo x > /private && mkdir /private-dir && umask 0 && touch /public
RUN mknod /null c 1 3 && mknod /disk b 7 1 && chown 5:6 /disk && chmod 4666 /null
RUN echo x > "/with space" && touch "$(printf '/new\nline')" '/quo"te' /-dash /ünï && mkdir "/ dir "
RUN i=0; d=/deep; while [ $i -lt 40 ]; do d=$d/level; i=$((i+1)); done; mkdir -p $d && touch $d/bottom
RUN touch /.wh-not /wh. && truncate -s 5M /sparse
RUN busybox dd if=/dev/zero of=/zeros bs=1k count=100 2>/dev/null && ln -s "$(printf 'x%.0s' $(seq 200))" /long-link
