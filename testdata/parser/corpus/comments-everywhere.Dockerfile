#!/usr/bin/env docker-build
# A file with comments.
#

  # indented
FROM alpine
#no blank
 	 # tabs and blanks
RUN echo "# not a comment" && \
# in between
  # and indented
    echo '#' # the shell's own
## twice
ENV A=# B=a#b
#
