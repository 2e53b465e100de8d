"""SQL with a name."""
