FROM debian:12
RUN echo "<<EOF" '<<EOF'
RUN echo a<<EOF
RUN cat <<<word
RUN echo $((1<<2))
RUN ["cat", "<<EOF"]
RUN echo <<- EOF
USER <<EOF
RUN echo \<<EOF
