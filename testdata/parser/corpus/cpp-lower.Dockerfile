from gcc:13 as build
workdir /app
add . .
run apt-get update && apt-get install -y --no-install-recommends cmake && cmake -B build && cmake --build build
env CXXFLAGS -O2
expose 7000
volume /app/data
cmd build/app
