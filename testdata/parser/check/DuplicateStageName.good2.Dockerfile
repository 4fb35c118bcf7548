FROM debian
FROM debian
FROM a AS debian
