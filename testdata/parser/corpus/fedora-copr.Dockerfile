FROM registry.fedoraproject.org/fedora:39 AS build
RUN dnf -y install 'dnf-command(copr)' && dnf -y copr enable group/project && dnf install -y @development-tools rpm-build
COPY *.spec /root/rpmbuild/SPECS/
RUN rpmbuild -bb ~/rpmbuild/SPECS/*.spec
FROM registry.fedoraproject.org/fedora-minimal:39
RUN --mount=type=bind,from=build,source=/root/rpmbuild/RPMS,target=/rpms rpm -i /rpms/*/*.rpm
