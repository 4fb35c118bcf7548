ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir /h && echo shared > /h/one && ln /h/one /h/two && echo lone > /h/lone
RUN ln /h/one /h/three
RUN echo changed > /h/two
RUN ln /h/lone /h/lone2 && rm /h/one
RUN ln -s a /h/s && ln /h/s /h/s2 && mkfifo /h/f && ln /h/f /h/f2
