FROM debian AS a
FROM debian AS a
