# check=skip
FROM debian
