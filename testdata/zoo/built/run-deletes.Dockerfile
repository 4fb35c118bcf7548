ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /a/b/c /keep/x && touch /a/1 /a/b/2 /a/b/c/3 /keep/file /keep/x/y && ln /keep/file /keep/hard && ln -s /a /link
RUN rm /a/b/c/3 && rm -r /keep/x && rm /link /keep/hard
RUN rm -r /a/b && mkdir /a/b && touch /a/b/new
RUN rm -rf /a && echo now a file > /a
RUN rm /a && mkdir /a && rm -rf /keep && ln -s /a /keep
RUN rm -r /home /var && mkdir -m 700 /var
RUN touch /temporary && rm /temporary; mkdir /t && touch /t/x && rm -r /t
RUN mv /usr /moved && mv /etc/group /etc/grp && cp /etc/passwd /etc/p && mv /etc/p /etc/passwd
