FROM alpine
RUN --device=vendor.example.com/gpu=all,required true
