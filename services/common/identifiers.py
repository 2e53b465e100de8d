"""Identifiers on the wire: UUIDv7, so that new rows sit side by side in an index."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    return uuid7()
