FROM scratch
COPY src /
COPY src/main.rs /
