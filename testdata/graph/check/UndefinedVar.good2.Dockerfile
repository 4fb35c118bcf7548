FROM never-heard-of
ENV PATH=$JAVA_HOME/bin:$PATH
FROM never-heard-of AS b
FROM b
WORKDIR $HOME
