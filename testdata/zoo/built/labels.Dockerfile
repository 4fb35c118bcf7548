ARG REGISTRY
FROM ${REGISTRY}/busybox
LABEL a=b c="d e" 'f'=g "h i"="j k" l='m"n' n="it's" o=p\ q r="s\"t"
LABEL old style  value
LABEL multi="line one \
line two" next=x
LABEL json='{"a": [1, 2]}' url=https://x.example/?a=b&c=d hash=#no
LABEL com.example.very-long_name/with.parts="v" empty= empty2=""
LABEL a=changed ünï=😀
LABEL d="\$HOME $HOME ${PATH:+set}"
