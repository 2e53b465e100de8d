"""Campaigns: written, decided on, sent, and carried."""
