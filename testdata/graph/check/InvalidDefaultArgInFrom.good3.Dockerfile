FROM scratch AS build
FROM build
