FROM alpine
COPY --from=nginx:latest /etc/nginx/nginx.conf /nginx.conf
COPY --from=0.index.example.org/team/image@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa /x /y
