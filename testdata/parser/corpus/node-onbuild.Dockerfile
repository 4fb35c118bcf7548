FROM node:20
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY package.json package-lock.json /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/root/.npm npm ci
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
npm run build
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:3000
CMD ["node", "dist/main.js"]
