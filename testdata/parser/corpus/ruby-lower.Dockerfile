from ruby:3.3 as build
workdir /app
add . .
run bundle install && bundle exec rake assets:precompile
env RACK_ENV production
expose 9292
volume /app/data
cmd bundle exec puma -C config/puma.rb
