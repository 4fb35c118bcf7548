from python:3.12 as build
workdir /app
add . .
run pip install -r requirements.txt && python -m compileall .
env PYTHONUNBUFFERED 1
expose 8000
volume /app/data
cmd python -m app
