FROM debian:12
RUN a \
#
	#tab
  # with a mark at its end \
  && b \
  #RUN c
  && echo "x # y" \
    ## several

ENV A=1
