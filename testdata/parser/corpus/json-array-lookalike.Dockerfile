FROM alpine
CMD ['echo', 'single quotes']
