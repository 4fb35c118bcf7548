FROM debian:12
CMD a b
CMD ["a", "b"]
CMD []
CMD [ ]
ENTRYPOINT a
ENTRYPOINT ["a"]
ENTRYPOINT []
ENTRYPOINT exec top -b
