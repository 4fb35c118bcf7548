#syntax=a/b:1
#   EsCaPe   =   `   
#Check = skip=all
FROM debian
RUN a `
  b
