FROM debian
LABEL maintainer=someone@example.com
