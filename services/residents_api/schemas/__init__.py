"""The register's shapes on the wire."""
