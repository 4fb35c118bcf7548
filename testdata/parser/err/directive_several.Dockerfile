# syntax=a/b
# escape=\\
# syntax=c/d
# check=skip=
FROM debian
RNU a
