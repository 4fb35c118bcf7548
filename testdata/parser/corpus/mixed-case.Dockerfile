From centos:7
Run yum install -y httpd && yum clean all
COPY . /var/www/html
expose 80 443
CMD ["/usr/sbin/httpd", "-D", "FOREGROUND"]
