"""Questions to neighbours."""
