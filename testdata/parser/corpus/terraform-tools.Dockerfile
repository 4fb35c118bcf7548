FROM hashicorp/terraform:1.7 AS terraform
FROM amazon/aws-cli:2.15.17 AS aws
FROM alpine/k8s:1.29.1
COPY --from=terraform /bin/terraform /usr/local/bin/
COPY --from=aws /usr/local/aws-cli/ /usr/local/aws-cli/
RUN ln -s /usr/local/aws-cli/v2/current/bin/aws /usr/local/bin/aws && terraform version
ENTRYPOINT [ "" ]
CMD ["/bin/bash"]
