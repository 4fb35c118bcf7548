FROM debian AS a
CMD ["a"]
FROM a
CMD ["b"]
