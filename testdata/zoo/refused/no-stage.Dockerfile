# kiln says: file with no instructions
# docker says: file with no instructions
# nothing
