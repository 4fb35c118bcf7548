FROM debian as build
