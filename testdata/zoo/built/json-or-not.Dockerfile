ARG REGISTRY
FROM ${REGISTRY}/busybox
CMD ['single', 'quotes']
ENTRYPOINT [ "spaces" , "between" ]
VOLUME [/not/json]
RUN [ "sh", "-c", "echo json > /j" ] 
SHELL [ "/bin/sh" , "-c" ]
LABEL a=[1,2]
