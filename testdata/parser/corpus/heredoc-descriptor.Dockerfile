FROM alpine
RUN 3<<A 4<<B sh -c 'cat <&3; cat <&4'
three
A
four
B
