"""The shapes of the gateway on the wire."""
