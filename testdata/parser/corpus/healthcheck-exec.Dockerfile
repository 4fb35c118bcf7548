FROM mongo:7
HEALTHCHECK --interval=10s CMD ["mongosh", "--eval", "db.runCommand('ping').ok", "--quiet"]
