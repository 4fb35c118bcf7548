FROM debian AS base
FROM base AS context
