from debian
run make
cmd ["a"]
