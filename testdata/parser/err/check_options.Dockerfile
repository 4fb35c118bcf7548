# check=skip=StageNameCasing;fail=true
FROM debian AS X
