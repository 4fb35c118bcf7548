FROM node:16-slim

# Browsers want fonts of all scripts
RUN apt-get update \
    && apt-get install -y wget gnupg \
    && wget -q -O - https://dl.example.com/linux/signing.pub | apt-key add - \
    && sh -c 'echo "deb [arch=amd64] http://dl.example.com/linux/chrome/deb/ stable main" >> /etc/apt/sources.list.d/google.list' \
    && apt-get update \
    && apt-get install -y chrome-stable fonts-ipafont-gothic fonts-wqy-zenhei fonts-thai-tlwg fonts-kacst fonts-freefont-ttf libxss1 \
      --no-install-recommends \
    && rm -rf /var/lib/apt/lists/*

ENV PUPPETEER_SKIP_CHROMIUM_DOWNLOAD true
ENV PUPPETEER_EXECUTABLE_PATH /usr/bin/chrome-stable
WORKDIR /srv/
ADD package.json .
RUN npm i
ADD . .
ENTRYPOINT ["node"]
CMD ["index.js"]
