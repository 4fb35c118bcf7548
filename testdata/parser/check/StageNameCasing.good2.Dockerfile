# check=skip=StageNameCasing
FROM debian AS Build
