# kiln says: invalid port "80/icmp": unknown protocol icmp
# docker says: Invalid proto: icmp
ARG REGISTRY
FROM ${REGISTRY}/busybox
EXPOSE 80/icmp
