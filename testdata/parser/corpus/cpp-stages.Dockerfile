FROM gcc:13.2 AS deps
WORKDIR /src
COPY CMakeLists.txt ./
RUN apt-get update && apt-get install -y --no-install-recommends cmake

FROM deps AS build
COPY . .
RUN cmake -B build && cmake --build build

FROM build AS test
RUN ./ci/test.sh --junit /reports/cpp.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM gcc:13.2
WORKDIR /srv/cpp
COPY --from=build --chown=65532:65532 /src/build ./build
USER 65532
EXPOSE 7000/tcp
ENTRYPOINT ["build/app"]
