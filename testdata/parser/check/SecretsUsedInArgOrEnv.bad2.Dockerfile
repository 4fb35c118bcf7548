FROM debian AS a
FROM a
ENV password hunter2
ARG PLAIN apikey=1
