"""What data sets from files share: finding files, hashing and reading them, keeping the arrays."""
