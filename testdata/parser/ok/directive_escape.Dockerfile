# escape=`
FROM windows
COPY C:\src\ C:\dst\
RUN dir `
    /b `
    C:\
ENV A=a` b B="c`"d"
