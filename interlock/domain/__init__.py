"""The pure rules: no clock, no input or output, `now` is an argument."""
