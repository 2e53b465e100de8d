"""Channels outside of this service: each is handed parcels, and says what became of them."""
