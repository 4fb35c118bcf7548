FROM debian AS a
FROM a AS b
FROM a AS A
