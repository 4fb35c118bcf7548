FROM debian:12
CMD [""]
CMD [ "a\tb" , "c\/d" , "\u00e9\ud83d\ude00" , "e\\f" ]
CMD	["tab"	,	"separated"]	
ENTRYPOINT ["$HOME", "${X:-y}", "# no comment", "<<EOF"]
ENTRYPOINT ["a", \
  # between
  "b"]
RUN ["/bin/sh", "-c", "a && b | c > d"]
SHELL ["é"]
