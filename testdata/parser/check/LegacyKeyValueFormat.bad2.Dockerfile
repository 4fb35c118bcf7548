from debian
label title a long title
