FROM ubuntu:22.04 as toolchain
ADD https://developer.example.com/arm-gnu-toolchain-12.2.rel1-x86_64-arm-none-eabi.tar.xz /tmp/tc.tar.xz
RUN mkdir /opt/tc && tar -xf /tmp/tc.tar.xz -C /opt/tc --strip-components=1 && rm /tmp/tc.tar.xz
FROM ubuntu:22.04
COPY --from=toolchain /opt/tc /opt/tc
ENV PATH="/opt/tc/bin:${PATH}"
RUN arm-none-eabi-gcc --version
VOLUME /work
WORKDIR /work
