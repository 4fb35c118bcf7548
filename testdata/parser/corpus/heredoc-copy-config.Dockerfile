FROM nginx:1.25-alpine
ARG SERVER_NAME=localhost
COPY <<EOF /etc/nginx/conf.d/default.conf
server {
    listen 80;
    server_name ${SERVER_NAME};
    location / {
        proxy_set_header Host \$host;
        try_files \$uri \$uri/ =404;
    }
}
EOF
COPY <<-'SCRIPT' /docker-entrypoint.d/40-say.sh
	#!/bin/sh
	echo "serving $SERVER_NAME"
	SCRIPT
