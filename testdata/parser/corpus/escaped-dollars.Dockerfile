FROM alpine
ENV PRICE=\$5 LITERAL='$HOME' BOTH="\${HOME}"
RUN echo \$HOME "\$(date)" '$x' `uname`
RUN awk '{ print $1 " " $NF }' /etc/passwd
RUN printf '%s\n' "${PATH%%:*}" $((1 + 2)) $$
