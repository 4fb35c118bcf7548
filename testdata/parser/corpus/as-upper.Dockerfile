FROM alpine AS BUILD
FROM alpine as Final
COPY --from=build /a /b
COPY --from=BUILD /c /d
