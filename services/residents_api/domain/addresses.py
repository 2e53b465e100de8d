"""Addresses and grids as keys."""

import re
from collections.abc import Sequence

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


# The committee of a village, and the village; longer names first.
_VILLAGES = (
    ("社区居民委员会", "社区"),
    ("社区居委会", "社区"),
    ("居民委员会", "社区"),
    ("居委会", "社区"),
    ("村村民委员会", "村"),
    ("村村委会", "村"),
    ("村民委员会", "村"),
    ("村委会", "村"),
)
_BUILDING_NAMED = re.compile(r".*[栋幢座楼组社队院号]")


def village_name(name: str) -> str:
    """A village as it stands in addresses: 金沙社区 for 金沙社区居委会, 仁里村 for 仁里村村委会."""
    for committee, village in _VILLAGES:
        if name.endswith(committee) and name != committee:
            return name.removesuffix(committee) + village
    return name


def standard_address(
    divisions: Sequence[str],
    *,
    compound: str | None,
    building: str | None,
    unit: str | None,
    room: str | None,
) -> str:
    """The address in full, from the province down to the room. Parts are normalised before.

    >>> standard_address(["彭州市", "九尺镇", "金沙社区居委会"], compound="金沙小区", building="3",
    ...                  unit="2", room="201")
    '彭州市九尺镇金沙社区金沙小区3栋2单元201室'
    >>> standard_address(["九尺镇", "仁里村村委会"], compound=None, building="2组", unit=None, room="15")
    '九尺镇仁里村2组15号'
    """
    parts = [*divisions[:-1], *map(village_name, divisions[-1:]), compound or ""]
    if building:
        parts.append(building if _BUILDING_NAMED.fullmatch(building) else f"{building}栋")
    if unit:
        parts.append(unit if unit.endswith(("单元", "门", "梯")) else f"{unit}单元")
    if room:
        in_building = bool(unit or compound)
        named = room.endswith(("室", "号", "房"))
        parts.append(room if named else f"{room}{'室' if in_building else '号'}")
    return "".join(parts)
