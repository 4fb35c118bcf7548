# top
FROM debian
  # indented
RUN true # not a comment

# bottom
