FROM amd64-only
