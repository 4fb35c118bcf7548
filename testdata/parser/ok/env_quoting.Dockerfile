FROM debian:12
ENV A="a"'b'c B=\"x\" C='\' D="\\" E="a\
b"
ENV F="it's" G='say "x"' H=a\\ I=\
ENV J="a=b=c" K==x L='' M=""
ENV N="open to the end
