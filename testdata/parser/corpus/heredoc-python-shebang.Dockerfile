FROM python:3.12
RUN <<EOF
#!/usr/bin/env python3
import json, sys
with open("/etc/settings.json", "w") as f:
    json.dump({"argv": sys.argv, "text": "a \"quoted\" string with $dollar"}, f)
EOF
RUN python3 <<'PY'
print("hello from $HOME")
PY
