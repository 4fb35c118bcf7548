FROM debian:12
RUN a \
  # first

  && b \ 	
	&& c
# last
CMD d \
