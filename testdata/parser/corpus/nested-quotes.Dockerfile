FROM alpine
RUN sh -c "echo \"it's \\\"nested\\\"\" && echo 'a \"b\" c'"
RUN echo 'one '"'"'two'"'"' three'
ENV A="x 'y' z" B='x "y" z'
LABEL q="say \"hi\" & 'bye'" p='don\t'
CMD ["sh", "-c", "echo \"$0\" 'x'"]
