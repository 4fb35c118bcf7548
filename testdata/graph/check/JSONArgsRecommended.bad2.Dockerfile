from debian:12 as a
entrypoint me
from a
cmd me
