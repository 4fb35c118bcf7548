FROM debian:12
RUN one \
  # first comment
    # second \
  && two \
# third
  && three # kept
RUN last \
# gone
