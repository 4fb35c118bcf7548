FROM base AS build
COPY --from=deps /node_modules ./node_modules
COPY --from=src . .
RUN --mount=type=bind,from=tools,target=/tools /tools/make
FROM runtime
COPY --from=build /dist /dist
