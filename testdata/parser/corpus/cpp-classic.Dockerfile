# The cpp service, in the plainest way.
FROM gcc:13
WORKDIR /app
COPY . /app
RUN apt-get update && apt-get install -y --no-install-recommends cmake \
 && cmake -B build && cmake --build build
ENV CXXFLAGS=-O2
EXPOSE 7000
CMD ["build/app"]
