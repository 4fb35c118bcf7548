FROM debian
ARG PUBLIC_KEY
ENV TOKEN_FILE=/run/secrets/token KEYBOARD=us
