FROM debian AS Build
FROM debian as other
from debian AS third
