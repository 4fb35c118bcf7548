# kiln says: is not a repository name
# docker says: must be lowercase
FROM UPPER/Case:tag:tag
RUN true
