FROM ocaml/opam:alpine-3.18-ocaml-5.1 AS build
RUN sudo apk add --update libev-dev openssl-dev gmp-dev
WORKDIR /home/opam
ADD app.opam app.opam
RUN opam install . --deps-only
ADD . .
RUN sudo chown -R opam:nogroup . && opam exec -- dune build --profile release
FROM alpine:3.18
RUN apk add --update libev
COPY --from=build /home/opam/_build/default/app.exe /bin/app
ENTRYPOINT /bin/app
