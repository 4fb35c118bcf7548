# kiln says: base name (${NOT_SET}) should not be blank
# docker says: base name (${NOT_SET}) should not be blank
FROM ${NOT_SET}
RUN true
