FROM rocker/shiny:4.3.1
RUN install2.r --error --skipinstalled -n $NCPUS tidyverse plotly DT
COPY --chown=shiny:shiny app/ /srv/shiny-server/
USER shiny
EXPOSE 3838
