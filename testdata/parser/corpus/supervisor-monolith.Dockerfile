FROM ubuntu:16.04
MAINTAINER Old Team
ENV DEBIAN_FRONTEND noninteractive
RUN apt-get update
RUN apt-get install -y supervisor nginx php-fpm mysql-server
RUN echo "\ndaemon off;" >> /etc/nginx/nginx.conf
ADD ./supervisord.conf /etc/supervisor/conf.d/supervisord.conf
ADD ./site /var/www/site
VOLUME ["/var/lib/mysql", "/var/www/site"]
EXPOSE 80 3306
CMD ["/usr/bin/supervisord", "-n", "-c", "/etc/supervisor/supervisord.conf"]
