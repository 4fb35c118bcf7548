FROM ruby:3.3-slim AS deps
WORKDIR /src
COPY Gemfile Gemfile.lock ./
RUN bundle install

FROM deps AS build
COPY . .
RUN bundle exec rake assets:precompile

FROM build AS test
RUN ./ci/test.sh --junit /reports/ruby.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM ruby:3.3-slim
WORKDIR /srv/ruby
COPY --from=build --chown=65532:65532 /src/public ./public
USER 65532
EXPOSE 9292/tcp
ENTRYPOINT ["bundle", "exec", "puma", "-C", "config/puma.rb"]
