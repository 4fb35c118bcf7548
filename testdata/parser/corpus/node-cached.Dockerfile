# syntax=docker/dockerfile:1.6
FROM node:20 AS build
WORKDIR /src
RUN --mount=type=cache,id=node-$TARGETARCH,target=/root/.npm,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=node_token,env=NODE_CREDENTIALS <<EOF
set -eu
npm ci
npm run build # as in the pipeline
mkdir -p /out && cp -r "dist" /out/
EOF
FROM node:20
COPY --link --from=build /out/ /opt/node/
WORKDIR /opt/node
CMD ["node", "dist/main.js"]
