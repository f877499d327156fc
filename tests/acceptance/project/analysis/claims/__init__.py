"""Claims of this project, one a file."""
