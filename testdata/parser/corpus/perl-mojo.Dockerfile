FROM perl:5.38-slim
RUN cpanm --notest Mojolicious Carton && rm -rf ~/.cpanm
WORKDIR /opt/app
COPY cpanfile cpanfile.snapshot ./
RUN carton install --deployment
COPY . .
EXPOSE 3000
CMD ["carton", "exec", "hypnotoad", "-f", "script/app"]
