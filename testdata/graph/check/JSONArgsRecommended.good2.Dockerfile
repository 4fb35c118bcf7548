FROM debian:12
SHELL ["/bin/bash", "-c"]
CMD me
FROM service
ENTRYPOINT me
