FROM debian
# check=skip=MaintainerDeprecated
MAINTAINER someone@example.com
