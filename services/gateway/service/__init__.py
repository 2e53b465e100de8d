"""What the gateway does: signs in, keeps accounts, knows the services' routes."""
