FROM conanio/gcc12-ubuntu18.04:2.0.5 as dev
WORKDIR /home/conan/project
COPY --chown=conan:1001 conanfile.txt .
RUN conan profile detect --force && \
	conan install . --output-folder=build --build=missing
COPY --chown=conan:1001 . .
RUN cd build && \
	cmake .. -DCMAKE_TOOLCHAIN_FILE=conan_toolchain.cmake && \
	make -j`nproc` && \
	ctest --output-on-failure
FROM gcr.io/distroless/cc
COPY --from=dev /home/conan/project/build/bin/tool /tool
ENTRYPOINT ["/tool"]
