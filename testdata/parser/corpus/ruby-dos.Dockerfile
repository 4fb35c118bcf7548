# The ruby service, in the plainest way.
FROM ruby:3.3
WORKDIR /app
COPY . /app
RUN bundle install \
 && bundle exec rake assets:precompile
ENV RACK_ENV=production
EXPOSE 9292
CMD ["bundle", "exec", "puma", "-C", "config/puma.rb"]
