FROM node:20-slim AS deps
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci

FROM deps AS build
COPY . .
RUN npm run build

FROM build AS test
RUN ./ci/test.sh --junit /reports/node.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM node:20-slim
WORKDIR /srv/node
COPY --from=build --chown=65532:65532 /src/dist ./dist
USER 65532
EXPOSE 3000/tcp
ENTRYPOINT ["node", "dist/main.js"]
