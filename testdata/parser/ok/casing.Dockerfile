from debian
Run true
cMd true
eNtRyPoInT ["a"]
