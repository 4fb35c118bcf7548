FROM debian:12
VOLUME ["/a", "  "]
VOLUME [""]
VOLUME
VOLUME []
