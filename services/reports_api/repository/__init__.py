"""SQL with a name, and the store of photos."""
