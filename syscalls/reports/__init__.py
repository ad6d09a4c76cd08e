"""Reports that read the table from outside: coverage, explain.  Only the command imports this package."""
