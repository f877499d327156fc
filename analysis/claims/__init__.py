"""Claims, one a file; each file's name is the name of its claim."""
