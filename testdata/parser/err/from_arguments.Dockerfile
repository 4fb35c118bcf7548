FROM
FROM a b
FROM a AS
FROM a AS b c
FROM a IS b
RUN not reported
FROM debian AS 1st
FROM debian AS a/b
FROM debian AS -x
