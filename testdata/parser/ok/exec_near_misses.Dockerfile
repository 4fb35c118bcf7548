FROM debian:12
CMD [ -x /a ] && b
CMD [[ -x /a ]]
CMD []]
CMD ["a"] b
CMD "a b"
CMD {"a": 1}
ENTRYPOINT []a
RUN ["a" "b"] || true
