FROM debian AS build-1.2_x
