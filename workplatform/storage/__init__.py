"""Storage: where the files that jobs read and write live."""
