"""The `shequ` command: the one place that knows all services."""
