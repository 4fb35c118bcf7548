FROM debian
Run make
CMD ["a"]
