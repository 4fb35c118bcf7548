from ubuntu:18.04
maintainer Jane Doe <jane@example.com>
run apt-get update && apt-get install -y nginx
add index.html /var/www/html/
expose 80
cmd ["nginx", "-g", "daemon off;"]
