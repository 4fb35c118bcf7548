# kiln says: FROM requires either one or three arguments
# docker says: FROM requires either one or three arguments
FROM
