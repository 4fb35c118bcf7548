FROM scratch
COPY . /app
COPY src /src
ADD a.txt b.txt /
