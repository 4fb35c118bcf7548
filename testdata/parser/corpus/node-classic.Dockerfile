# The node service, in the plainest way.
FROM node:20
WORKDIR /app
COPY . /app
RUN npm ci \
 && npm run build
ENV NODE_ENV=production
EXPOSE 3000
CMD ["node", "dist/main.js"]
