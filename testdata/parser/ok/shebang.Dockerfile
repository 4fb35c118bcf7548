#!/usr/bin/env kiln
# syntax=docker/dockerfile:1
# escape=`
FROM debian
