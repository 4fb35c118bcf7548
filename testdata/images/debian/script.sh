#!/bin/bash
set -eu
echo "I am $(id -un) in $PWD with ${*:-nothing}"
