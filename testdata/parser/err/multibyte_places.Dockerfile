FROM debian
LABEL ключ=é значение
ЗАПУСК привет
RUN --ключ=x "日本"
COPY --from=é\
ü --frm=日 a b
