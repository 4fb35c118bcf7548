FROM debian:12
COPY <<-EOF /a
    text
    EOF
RUN <<End
end
END
RUN a
