FROM alpine
ADD https://github.com/example/project.git#v1.2.3 /src
ADD --keep-git-dir=true https://github.com/example/project.git#main:docs/en /docs
ADD git@git.example.com:team/private.git /private
ADD https://github.com/example/other.git?branch=dev&subdir=lib&submodules=false /lib
ADD --link --exclude=*.md git://git.example.org/repo.git /repo
