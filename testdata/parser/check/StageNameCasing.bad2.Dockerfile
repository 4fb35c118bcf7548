FROM debian AS base
FROM base AS finalStage
COPY --from=base /a /b
