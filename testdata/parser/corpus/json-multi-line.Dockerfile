FROM mysql:8
CMD [ \
    "mysqld", \
    "--character-set-server=utf8mb4", \
    # the collation of the tables
    "--collation-server=utf8mb4_unicode_ci" \
]
VOLUME [ "/var/lib/mysql", \
         "/etc/mysql/conf.d" ]
