FROM debian AS contexts
