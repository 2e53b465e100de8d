"""The register: areas, housing, people, and who lives where."""
