# escape=`
# Escape=\
FROM debian
