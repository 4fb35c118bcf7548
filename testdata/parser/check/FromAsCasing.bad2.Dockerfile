from debian AS build
run make
