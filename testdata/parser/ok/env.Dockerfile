FROM debian:12
ENV A=1
ENV A=1 B="two words" C='three words' D=four\ words
ENV E= F="" G='' H="a\"b" I="a'b" J=$A/${B:-xy}
ENV "K"="v" L=a=b
ENV M=m\
n
