FROM alpine
COPY <<robots.txt <<humans.txt /usr/share/web/
User-agent: *
Disallow:
robots.txt
We are many.
humans.txt
RUN cat <<one - <<two > /both
first
one
second
two
