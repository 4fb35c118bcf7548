# syntax=docker/dockerfile:1.6
FROM ruby:3.3 AS build
WORKDIR /src
RUN --mount=type=cache,id=ruby-$TARGETARCH,target=/usr/local/bundle/cache,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=ruby_token,env=RUBY_CREDENTIALS <<EOF
set -eu
bundle install
bundle exec rake assets:precompile # as in the pipeline
mkdir -p /out && cp -r "public" /out/
EOF
FROM ruby:3.3
COPY --link --from=build /out/ /opt/ruby/
WORKDIR /opt/ruby
CMD ["bundle", "exec", "puma", "-C", "config/puma.rb"]
