FROM debian:stable-slim
RUN apt-get update && apt-get -y install cron && rm -rf /var/lib/apt/lists/*
COPY crontab /etc/cron.d/job
RUN chmod 0644 /etc/cron.d/job && crontab /etc/cron.d/job && touch /var/log/cron.log
CMD cron && tail -f /var/log/cron.log
