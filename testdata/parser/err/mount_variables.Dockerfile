FROM a
RUN --mount=type=$KIND,tarhet=/a x
RUN --mount=type=$KIND,sharing=all x
RUN --mount=from=$STAGE,type=$KIND x
RUN --mount=$ALL x
RUN --mount=type=cash,ro=$RO x
