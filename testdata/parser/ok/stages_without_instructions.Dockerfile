FROM a AS a
FROM a AS b

# nothing here
FROM b AS c
FROM 2
