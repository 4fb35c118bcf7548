FROM scratch
COPY . /app
COPY ["target/release/app", "/"]
