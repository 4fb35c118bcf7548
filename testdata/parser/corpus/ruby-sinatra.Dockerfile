FROM ruby:2.7-alpine
RUN apk add --update \
  build-base \
  postgresql-dev \
  && rm -rf /var/cache/apk/*
RUN gem install bundler -v '~> 2.4'
ENV APP_HOME /app
RUN mkdir $APP_HOME
WORKDIR $APP_HOME
ADD Gemfile* $APP_HOME/
RUN bundle install --jobs=4 --retry 3
ADD . $APP_HOME
EXPOSE 4567
CMD bundle exec rackup --host 0.0.0.0 -p 4567
