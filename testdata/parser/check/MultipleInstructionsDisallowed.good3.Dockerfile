FROM debian
CMD ["a"]
# check=skip=MultipleInstructionsDisallowed
CMD ["b"]
