FROM openresty/openresty:1.21.4.1-0-alpine-fat
RUN /usr/local/openresty/luajit/bin/luarocks install lua-resty-jwt
ADD nginx.conf /usr/local/openresty/nginx/conf/
ADD lua /usr/local/openresty/nginx/lua
STOPSIGNAL SIGQUIT
EXPOSE 80
