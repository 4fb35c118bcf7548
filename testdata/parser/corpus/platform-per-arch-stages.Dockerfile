FROM --platform=linux/amd64 alpine AS bin-amd64
ADD https://dl.example.org/tool-amd64 /tool
FROM --platform=linux/arm64 alpine AS bin-arm64
ADD https://dl.example.org/tool-arm64 /tool
FROM bin-${TARGETARCH} AS bin
RUN chmod +x /tool
