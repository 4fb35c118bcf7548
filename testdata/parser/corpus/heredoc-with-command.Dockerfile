FROM ubuntu
ARG PASSES=3
RUN cat <<EOF > /etc/motd && chmod 644 /etc/motd
Welcome. There are ${PASSES} passes.
EOF
RUN bash -ex <<"EOT"
for i in 1 2 3; do
  echo "pass $i" # not a Dockerfile comment

done
EOT
