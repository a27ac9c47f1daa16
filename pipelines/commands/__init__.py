"""The commands, one file each: options, the steps in order, and what is printed."""
