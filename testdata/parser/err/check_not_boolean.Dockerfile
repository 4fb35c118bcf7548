# check=error=maybe
FROM debian
