FROM alpine:3.19
LABEL description="Größe, 大小, размер 🚀" maintainer="Zoë Ångström <zoe@exämple.org>"
ENV GRÜSSE="schöne Grüße" 
RUN echo "héllo wörld ✓" > /tmp/ünï
# ein Kommentar mit Umlauten: äöü
COPY données/ /données/
