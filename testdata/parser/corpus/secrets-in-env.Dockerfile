FROM node:20
ARG NPM_TOKEN
ENV GITHUB_TOKEN=$NPM_TOKEN AWS_SECRET_ACCESS_KEY=xyz API_KEY_FILE=/run/key
RUN echo "//registry.example.com/:_authToken=${NPM_TOKEN}" > .npmrc && npm ci && rm -f .npmrc
