FROM --platform=linux/amd64
FROM --platform=linux/amd64 AS a
FROM
