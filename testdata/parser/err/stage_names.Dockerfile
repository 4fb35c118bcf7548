FROM a AS "b"
FROM a AS $C
FROM a AS ünder
FROM a AS .d
FROM a AS e:f
FROM a AS G+H
FROM a AS _i
FROM a AS -
