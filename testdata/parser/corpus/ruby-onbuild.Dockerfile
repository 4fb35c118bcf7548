FROM ruby:3.3
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY Gemfile Gemfile.lock /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/usr/local/bundle/cache bundle install
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
bundle exec rake assets:precompile
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:9292
CMD ["bundle", "exec", "puma", "-C", "config/puma.rb"]
