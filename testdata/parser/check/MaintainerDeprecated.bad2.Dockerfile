FROM debian AS a
FROM debian
MAINTAINER "A Person" <a@example.com>
