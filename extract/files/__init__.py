"""The files of a data set, on the hub or on the disk, and their raw rows."""
