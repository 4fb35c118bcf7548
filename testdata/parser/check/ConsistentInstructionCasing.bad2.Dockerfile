from debian
run make
CMD ["a"]
