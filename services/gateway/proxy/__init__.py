"""The data path: a pure ASGI app in front of the gateway's own routes."""
