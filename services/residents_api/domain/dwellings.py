"""Where a ledger says somebody lives: four levels out of however it was written.

A dwelling is compound, building, unit and room. In the country the building is a villagers'
group (2组) and there is neither compound nor unit. Ledgers give the levels in columns of their
own, or together: 金沙小区3栋2单元201, 3-2-201, 2组15号.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from services.residents_api.domain import numerals
from services.residents_api.domain.cells import compatible, says_nothing, text_of

# Longer text is no name of a place, and too long for the key of an index.
MAX_COMPOUND_CHARACTERS = 60
MAX_PART_CHARACTERS = 30
# Longer text is no address; the patterns below try every split, and what they find is kept.
MAX_WRITTEN_CHARACTERS = 120

_HAN_NUMBER = f"[{numerals.CHARACTERS}]+"
_NUMBER = rf"(?:[0-9]+[A-Z]?|[A-Z][0-9]*|{_HAN_NUMBER})"
_BUILDING_WORD = r"(?:号?[栋幢座]|号楼|#?楼|#)"
_MONTH_NAME = "(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)[A-Z]*"
_CLOCK = r"(?:[T ]?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)"
# What spreadsheets make of 3-2 and show of it. 3-2-2001 may be a room on the twentieth floor.
_DATE_SHOWN = re.compile(
    rf"(?:19|20)[0-9]{{2}}[-/.年](?:0?[1-9]|1[0-2])[-/.月](?:0?[1-9]|[12][0-9]|3[01])日?{_CLOCK}?"
    rf"|(?:[0-9]{{4}}年)?[0-9]{{1,2}}月(?:[0-9]{{1,2}}日)?|[0-9]{{1,4}}[-/.]{_MONTH_NAME}(?:[-/.][0-9]{{2,4}})?"
    rf"|{_MONTH_NAME}[-/.][0-9]{{1,4}}|[0-9]{{1,4}}[-/][0-9]{{1,2}}[-/][0-9]{{1,4}}{_CLOCK}"
)
_DASHES = re.compile(r"[-‐-―−－_/\\~]+")
_SPACES = re.compile(r"\s+")

_STRUCTURED = re.compile(
    rf"(?P<prefix>.*?(?<![0-9A-Z第]))"
    rf"(?:第?(?P<building>{_NUMBER}(?:-[0-9]+)?){_BUILDING_WORD}[-,，、]?)?"
    rf"(?:第?(?P<unit>{_NUMBER})单元[-,，、]?)?"
    rf"(?:第?{_NUMBER}[楼层][-,，、]?)?"
    rf"(?:附?(?P<room>[0-9A-Z]+(?:-[0-9A-Z]+)*)[室号房户#]?)?"
)
_GROUPED = re.compile(
    rf"(?P<prefix>.*?)第?(?P<number>[0-9]+|{_HAN_NUMBER})"
    r"(?P<kind>村民小组|居民小组|小组|组(?!团)|社(?!区)|队)(?P<rest>.*)"
)
_GROUP = re.compile(rf"第?([0-9]+|{_HAN_NUMBER})(村民小组|居民小组|小组|组|社|队)?")
_COMPOSITE = re.compile(
    r"(?:^|[^0-9A-Z])[0-9A-Z]{1,2}-[0-9A-Z]|[栋幢]|[0-9A-Z]座.|单元|[0-9]号楼|[0-9一二三四五六七八九十](?:组(?!团)|社(?!区)|队)"
)
_NUMBERED = re.compile(rf"第?({_NUMBER})(?:号?[栋幢座]|号楼|#[栋幢座楼]?|楼|号)?")
_SUFFIXED = re.compile(r"(.*[0-9A-Z])(?:号?[栋幢座]|号楼|#[栋幢座楼]?|楼|号)")
_UNIT = re.compile(rf"第?({_NUMBER})(?:单元门?|门|梯)?")
_ROOM = re.compile(r"#?(?:附)?([0-9A-Z]+(?:-[0-9A-Z]+)*)(?:室|号房?|房|户|#)?")
_ADMINISTRATIVE = re.compile(
    r"(?:.{2,8}?(?:省|自治区))?(?:.{2,8}?(?:自治州|市))*(?:.{1,8}?(?:县|(?<![小社片园院辖])区))?"
    r"(?:.{1,8}?(?:镇|乡|街道(?:办事处|办)?))?(?:.{1,8}?(?:社区|居委会|村委会|行政村))?"
)
_VILLAGE_ONLY = re.compile(r".{1,10}(?:村|社区|居委会|村委会)")
_COMPOUND_WORDS = "小区|家园|花园|公寓|新城|苑|府|庭|院"
_COMPOUND = re.compile(rf".*(?:{_COMPOUND_WORDS})")
_BELOW_GROUND = re.compile("-[0-9]")
_SHEET_PLACE = re.compile(
    rf"(?P<compound>.*(?:{_COMPOUND_WORDS}))?(?P<building>{_NUMBER}(?:号?[栋幢座]|号楼))?"
)


@dataclass(frozen=True, slots=True)
class Dwelling:
    """A place where people live, in normal form; None where a level does not exist."""

    compound: str | None
    building: str | None
    unit: str | None
    room: str | None

    @property
    def identified(self) -> bool:
        """Whether it is a place of its own: a room, or in the country, a house.

        A building of a compound is none: everybody in it would become one household.
        """
        if self.room is not None or self.building is None:
            return self.room is not None
        return self.compound is None or is_group(self.compound)


class Parts(NamedTuple):
    """The levels of a dwelling as written; empty where nothing was said."""

    compound: str = ""
    group: str = ""
    building: str = ""
    unit: str = ""
    room: str = ""
    address: str = ""


# Buildings, units and rooms have few different names, so each is read once; and the members
# of a household come one after another.
_once = lru_cache(maxsize=1 << 12)


def locate(parts: Parts) -> Dwelling | None:
    """The dwelling that the cells mean, None when they identify none."""
    if max(map(len, parts)) > MAX_WRITTEN_CHARACTERS:
        parts = Parts(*(text if len(text) <= MAX_WRITTEN_CHARACTERS else "" for text in parts))
    return _locate(parts)


@lru_cache(maxsize=1 << 10)
def _locate(parts: Parts) -> Dwelling | None:
    compound, group, building, unit, room = (
        _tidy(text)
        for text in (parts.compound, parts.group, parts.building, parts.unit, parts.room)
    )
    if not (building or unit or room or group):
        split = split_address(_tidy(parts.address) or compound)
        compound, building, unit, room = split.compound, split.building, split.unit, split.room
    elif room and is_composite(room) and not building and not unit:
        split = split_address(room)
        compound, building = _prefixed(compound, split)
        unit, room = split.unit, split.room
    elif building and is_composite(building):
        split = split_address(building)
        whole = building
        compound, building = _prefixed(compound, split)
        building, unit, room = _below(whole, split._replace(building=building), unit, room)
    elif unit and not room and is_composite(unit):
        split = split_address(unit)
        unit, room = split.unit, split.room
    elif room:
        unit, room = _without_repeats(building, unit, room)
    if group:
        group = normal_group(group)
        # Village houses have no building of their own; blocks in a village group do.
        building, compound = (building, compound or group) if building else (group, compound)
    dwelling = Dwelling(
        _short(compound, MAX_COMPOUND_CHARACTERS),
        _short(normal_building(building), MAX_PART_CHARACTERS),
        _short(normal_unit(unit), MAX_PART_CHARACTERS),
        _short(normal_room(room), MAX_PART_CHARACTERS),
    )
    return dwelling if dwelling.identified else None


def split_address(text: str) -> Parts:
    """The levels in an address or a combined number, as written and without divisions.

    >>> split_address("彭州市九尺镇金沙社区金沙小区3栋2单元201")
    Parts(compound='金沙小区', group='', building='3', unit='2', room='201', address='')
    >>> split_address("3-2-201").unit, split_address("3-201").room, split_address("2组15号").building
    ('2', '201', '2组')
    """
    text = _tidy(text)
    if grouped := _GROUPED.fullmatch(text):
        return _of_group(grouped)
    found = _STRUCTURED.fullmatch(text)
    if found is None:
        return Parts(compound=_place(text))
    building, unit, room = found["building"] or "", found["unit"] or "", found["room"] or ""
    building, unit, room = _dashed(building, unit, room)
    return Parts(compound=_place(found["prefix"]), building=building, unit=unit, room=room)


@_once
def is_composite(text: str) -> bool:
    """Whether a cell of one level holds several: 3-2-201, 3栋201, 2组15号."""
    tidy = _tidy(text)
    # "3栋", "2单元" and "2组" are one level; what comes after them is another.
    one = _NUMBERED.fullmatch(tidy) or _UNIT.fullmatch(tidy) or _GROUP.fullmatch(tidy)
    return one is None and _COMPOSITE.search(tidy) is not None


@_once
def is_group(text: str) -> bool:
    """Whether a building is a villagers' group (2组), which stands in no compound."""
    found = _GROUP.fullmatch(_tidy(text))
    return bool(found and found[2])


@_once
def is_date(text: str) -> bool:
    """Whether a spreadsheet took a number for a date: 1-Mar, 3月2日, 2020-03-02 00:00:00.

    What it was is lost: 3月2日 was 3-2 or 2003-2, and nobody knows which.
    """
    return _DATE_SHOWN.fullmatch(_SPACES.sub("", compatible(text)).upper()) is not None


def of_sheet_name(name: str) -> Parts:
    """The compound and building that a sheet is named after, where it says so: 金沙小区3栋."""
    found = _SHEET_PLACE.fullmatch(_tidy(name))
    if found is None:
        return Parts()
    return Parts(compound=found["compound"] or "", building=found["building"] or "")


@_once
def normal_building(text: str) -> str:
    """3栋, 3幢, 3号楼, 3#, 三栋 and 03 are building 3; 2组 stays 2组; a name stays a name."""
    if (group := _GROUP.fullmatch(text)) and group[2]:
        return normal_group(text)
    if numbered := _NUMBERED.fullmatch(text):
        return _number(numbered[1])
    if suffixed := _SUFFIXED.fullmatch(text):
        return suffixed[1]
    return text


@_once
def normal_group(text: str) -> str:
    """第二村民小组, 二组 and a bare 2 in a column of groups are 2组; 2社 and 2队 stay so."""
    found = _GROUP.fullmatch(text)
    if found is None:
        return text
    kind = found[2] if found[2] in ("社", "队") else "组"
    return _number(found[1]) + kind


@_once
def normal_unit(text: str) -> str:
    """2单元 and 二单元 are unit 2."""
    found = _UNIT.fullmatch(text)
    return _number(found[1]) if found else text


@_once
def normal_room(text: str) -> str:
    """201室, 201号, 0201 and #201 are room 201."""
    found = _ROOM.fullmatch(text)
    return _number(found[1]) if found else text


@_once
def _tidy(text: str) -> str:
    if not text:
        return ""
    text = _SPACES.sub("", compatible(text_of(text))).upper()
    if says_nothing(text) or len(text) > MAX_WRITTEN_CHARACTERS:
        return ""
    text = _DASHES.sub("-", text).rstrip("-,，、.。;；:：").lstrip(",，、.。;；:：")
    # A minus is kept: -101 lies below 101.
    return text if _BELOW_GROUND.match(text) else text.lstrip("-")


def _short(text: str, limit: int) -> str | None:
    return text if text and len(text) <= limit else None


def _number(text: str) -> str:
    value = numerals.to_int(text)
    if value is not None:
        return str(value)
    return (text.lstrip("0") or "0") if text.isdecimal() else text


def _dashed(building: str, unit: str, room: str) -> tuple[str, str, str]:
    """Spread a room with dashes over the levels above it that were not said.

    3-2-201 and 3-201 begin with a building; 301-1 is a part of room 301.
    """
    first, *rest = room.split("-")
    if not first or not rest or unit or len(first) > 2:
        return building, unit, room
    if building:
        # 2-201 below building 3 begins with a unit, 3-1 may be anything.
        has_unit = len(rest) == 1 and len(rest[0]) > 2
        return (building, first, rest[0]) if has_unit else (building, "", room)
    if len(rest) == 1 or len(rest[0]) > 2:
        return first, "", "-".join(rest)
    return first, rest[0], "-".join(rest[1:])


def _without_repeats(building: str, unit: str, room: str) -> tuple[str, str]:
    """Unit and room, of a room cell that repeats the building's and unit's numbers."""
    first, *rest = room.split("-")
    if len(rest) == 2 and _same(first, building) and (not unit or _same(rest[0], unit)):
        return unit or rest[0], rest[1]
    if len(rest) == 1 and (_same(first, building) or _same(first, unit)):
        return unit, rest[0]
    if not rest and is_composite(room) and (split := split_address(room)).room:
        return unit or split.unit, split.room
    _, unit, room = _dashed(building, unit, room)
    return unit, room


def _same(part: str, level: str) -> bool:
    return bool(level) and _number(part) in (normal_building(level), normal_unit(level))


def _prefixed(compound: str, split: Parts) -> tuple[str, str]:
    """Compound and building, of a cell that says something before the building's number.

    金沙小区3栋 repeats the compound, 东3栋 and A区3栋 are not the building 3.
    """
    prefix = split.compound
    if not prefix or (compound and (prefix.endswith(compound) or compound.endswith(prefix))):
        return compound, split.building
    if not compound and _COMPOUND.fullmatch(prefix):
        return prefix, split.building
    return compound, prefix + split.building


def _below(building: str, split: Parts, unit: str, room: str) -> tuple[str, str, str]:
    """Building, unit and room of a building cell that held more, beside what the others said."""
    if room and split.room and not split.unit:
        # 3-2 beside a room is building and unit, or the name of a building.
        if _same(split.room, unit):
            return split.building, unit, room
        if not unit and split.building.isdecimal():
            return split.building, split.room, room
        return building, unit, room
    return split.building, unit or split.unit, room or split.room


def _of_group(found: re.Match[str]) -> Parts:
    group = normal_group(found["number"] + found["kind"])
    prefix = _place(found["prefix"])
    if _VILLAGE_ONLY.fullmatch(prefix):
        prefix = ""
    rest = found["rest"].strip("-")
    inner = _STRUCTURED.fullmatch(rest)
    if inner is None or not (inner["building"] or inner["unit"]):
        return Parts(compound=prefix, building=group, room=rest)
    building, unit, room = _dashed(
        inner["building"] or "", inner["unit"] or "", inner["room"] or ""
    )
    return Parts(compound=prefix + group, building=building, unit=unit, room=room)


def _place(prefix: str) -> str:
    """What is left of an address before the building once its divisions are cut off."""
    prefix = prefix.strip("-,，、")
    found = _ADMINISTRATIVE.match(prefix)
    rest = prefix[found.end() :] if found else prefix
    return rest or prefix
