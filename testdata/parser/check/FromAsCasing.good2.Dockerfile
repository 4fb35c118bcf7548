from debian as build
run make
