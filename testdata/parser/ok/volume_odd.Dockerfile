FROM debian:12
VOLUME $A ${B}/c "/d e" '/f'
VOLUME ["$A", "  /b", "c\\d"]
VOLUME /a \
  # between
  /b
VOLUME [a] [b]
