FROM caddy:2
LABEL "traefik.enable"="true"
LABEL traefik.http.routers.web.rule="Host(`web.example.com`) && PathPrefix(`/api`)"
LABEL traefik.http.middlewares.strip.replacepathregex.regex="^/api/(.*)" traefik.port=80
