FROM gentoo/portage:latest AS portage
FROM gentoo/stage3:latest
COPY --from=portage /var/db/repos/gentoo /var/db/repos/gentoo
RUN emerge -qv www-servers/apache net-misc/curl sys-apps/man-pages
