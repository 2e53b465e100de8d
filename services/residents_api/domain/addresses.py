"""Addresses and grids as keys."""

import re

_GRID_SERIAL = re.compile(r"第?0*([0-9]{1,3})(?:号?网格|格)?")


def address_key(
    village_code: str,
    *,
    compound: str | None,
    building: str | None,
    unit: str | None,
    room: str | None,
) -> str:
    """The address as one text, unique in the city. Parts are normalised before."""
    parts = (village_code, compound, building, unit, room)
    return "|".join((part or "").replace("|", "/") for part in parts)


def grid_code(village_code: str, text: str | None) -> str | None:
    """The 15-digit code of a grid that a ledger names by code or serial; None if it is neither."""
    if text is None:
        return None
    if len(text) == 15 and text.isdigit():
        return text if text.startswith(village_code) else None
    match = _GRID_SERIAL.fullmatch(text)
    return f"{village_code}{int(match[1]):03}" if match else None
