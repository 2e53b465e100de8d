"""Pure rules: no HTTP, no SQL."""
