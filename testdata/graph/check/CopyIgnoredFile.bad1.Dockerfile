FROM scratch
COPY ./tmp/a.txt /a.txt
ADD src secret.key /x/
