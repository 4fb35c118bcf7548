ARG FLAVOUR=prod
FROM alpine AS base
FROM base AS env-prod
ENV MODE=production
FROM base AS env-dev
ENV MODE=development
FROM env-${FLAVOUR} AS final
CMD ["env"]
