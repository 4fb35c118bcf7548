FROM debian
ENV KEYS="a b c" MORE=d
LABEL title="a long title"
