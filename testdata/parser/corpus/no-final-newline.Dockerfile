FROM alpine
CMD ["true"]