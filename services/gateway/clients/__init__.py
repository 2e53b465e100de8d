"""The services behind the gateway, as it asks them about themselves."""
