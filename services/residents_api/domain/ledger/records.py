"""The persons of a ledger, row by row: what is data, and which dwelling a row belongs to.

Titles, blank rows, subtotals, signatures and repeated headers are no records. Everything else
that says something of a person is one, however little it says, and is counted.

Dwellings. A household's members stand below its head, their dwelling cells merged with the
head's or left blank:

- a row whose dwelling cells are all blank belongs to the dwelling above, unless it is a head's;
  a head's needs a cell of its own, being covered by the range of the household above is none;
- a row that says that nobody knows (不详, 待核) or that there is none (无, /) has no dwelling, nor
  has one whose building or room a spreadsheet took for a date (3月2日);
- after a head without a dwelling nobody knows where the household lives: its members, too, have
  none, rather than landing in the dwelling of the household above. The same goes for whoever
  says that they have none and does not say whose relative they are;
- a row that fills some levels takes the levels above its first one from the row above, for that
  is what the columns look like: 小区 once, then 楼栋, then 房号 on every row. A villagers' group
  (2组) takes none, it stands in no compound;
- a member's row that only repeats the dwelling's upper levels (小区 on every row, 房号 on the
  head's) belongs to the dwelling above.

All of this ends with the sheet.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time

from services.residents_api.domain import dwellings
from services.residents_api.domain.cells import (
    Cell,
    folded,
    says_nothing,
    says_unknown,
    text_of,
)
from services.residents_api.domain.code_lists import CODE_LISTS
from services.residents_api.domain.dwellings import Parts
from services.residents_api.domain.ledger import headers
from services.residents_api.domain.ledger.header_words import (
    DWELLING_LEVELS,
    Field,
)
from services.residents_api.domain.ledger.headers import Header
from services.residents_api.domain.ledger.sheets import Merges, Sheet
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable

# A row that says none of these is about no person: an empty dwelling, a remark, a number.
_PERSONAL: frozenset[Field] = frozenset(
    {
        *("name", "id_number", "birth_date", "sex", "ethnicity", "phones", "education"),
        *("marital_status", "political_status", "occupation", "employer", "registered_address"),
        *("population_type", "relation_to_head"),
    }
)
# Merged over the rows of a household, a building or a whole compound.
_CARRIED: tuple[Field, ...] = ("village", "grid")
# Merged over the rows of a household, a building or a whole compound.
_MERGED: tuple[Field, ...] = (*_CARRIED, *DWELLING_LEVELS)
_PLACE_FIELDS: frozenset[Field] = frozenset({*DWELLING_LEVELS, "address"})
# Without these nobody finds the door.
_WHERE: frozenset[Field] = frozenset({"building", "room"})
# In place of a level that exists and that nobody knows: said to be so (不详), or made a date of by
# a spreadsheet. No cell says it.
_LOST = "\0"

_find_relation = CODE_LISTS["relation_to_head"].find

_DITTO = frozenset({"同上", "〃", "″", '"', "”", "''", "′′", "々", "上同", "同前"})
_VACANT = frozenset(
    {"空置", "空房", "空户", "无人", "无人居住", "空置房", "闲置", "空挂房", "未入住", "无人住"}
)

# Compared with folded text: no white space, half-width brackets and colons.
_FOOTER = re.compile(
    r"(?:本页|本表|以上|总)?(?:合计|总计|小计|共计|累计|总人数|总户数).*"
    r"|[共计约]?(?:[0-9]+[户人名口][,、;]?)+"
    r"|(?:填表|制表|填报|审核|审批|核对|复核|校对|经办|登记|采集|录入|统计|调查|负责|分管|主管|汇总|报送|联系)"
    r"(?:人员?|者|单位|日期|时间|员|领导)?(?:签字|签名|签章|盖章|\(签字\)|\(盖章\)|\(签章\)|\(签名\))?:.*"
    r"|(?:填表|制表|填报|审核|审批|复核|经办|负责|分管|主管)(?:人员?|者|领导)?\(?(?:签字|签名|签章|盖章)\)?"
    r"|(?:社区|村|镇|街道|单位)\(?(?:公章|盖章|签章)\)?"
    r"|(?:填表|制表|填报|审核|经办|登记|采集|录入|统计|调查|负责|核对|复核)(?:人员?|者|单位|日期|时间|员)"
    r"|(?:社区|村)?(?:书记|主任|网格员|居委会|村委会|单位)\(?(?:签字|签名|签章|盖章|公章)\)?:?.*"
    r"|(?:备注|注|注意|说明|填表说明|填写说明|填报说明|提示)[0-9]?:.*"
    r"|第[0-9]+页.*|共[0-9]+页.*|[—-]*以下(?:为)?空白[—-]*"
)
_FOOTER_STARTS = frozenset(
    "本以总合小共累计约0123456789０１２３４５６７８９填制审核复校经登采录统调负分主汇报联社村镇街书网居单备注说提第—-"
)
# What a cell alone in its row is, if it is nobody's name.
_REMARK = re.compile(
    r".*[:。;!].*|.{31,}|(?:以上|以下|(?:统计|数据)?(?:截止|截至)|本页|本表).*"
    r"|[0-9〇零一二三四五六七八九十]{0,4}年[0-9一二三四五六七八九十]{0,3}月[0-9一二三四五六七八九十]{0,3}日"
    r"|.*(?:台账|登记表|登记册|花名册|名册|统计表|信息表|明细表|汇总表|一览表|采集表)(?:\(.*\))?"
)
_IDENTITY_DIGITS = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class Record:
    """A row that speaks of a person: its non-empty cells, and the dwelling it belongs to.

    `row` counts as a person does. `place` is resolved as the module says, and not yet read;
    None for a row that belongs to no dwelling. Its levels are not among the cells. `phones`
    and `labels` are one text, also if several columns said them.
    """

    sheet: str
    row: int
    place: Parts | None = field(repr=False)
    cells: dict[Field, Cell] = field(repr=False)


def records(sheets: Iterable[Sheet]) -> Iterator[Record]:
    """The persons' rows of all sheets in order, one at a time.

    Raises LedgerUnreadable at a row that speaks of two persons side by side.
    """
    for sheet in sheets:
        yield from _of_sheet(sheet)


def _of_sheet(sheet: Sheet) -> Iterator[Record]:
    table = _Table(sheet, sheet.header)
    for number, cells in sheet.rows():
        if number <= sheet.header.row:
            continue
        another = headers.repeated((number, cells), table.header)
        if another is None:
            if record := table.record(number, cells):
                yield record
        elif another is not table.header:
            table = _Table(sheet, another)


class _Table:
    """The rows below one header."""

    def __init__(self, sheet: Sheet, header: Header) -> None:
        self.header = header
        self._sheet = sheet.name
        self._places = _Places(sheet, header)
        self._unmerge = _Unmerge(sheet.merges, header)
        self._columns: list[tuple[Field, int]] = [
            (name, columns[0]) for name, columns in header.columns.items()
        ]
        self._repeated: list[tuple[Field, tuple[int, ...]]] = [
            (name, columns) for name, columns in header.columns.items() if len(columns) > 1
        ]
        self._doubled = header.doubled
        used = [*header.columns.values(), *header.doubled]
        self._width = 1 + max(max(columns) for columns in used)

    def record(self, number: int, cells: Sequence[Cell]) -> Record | None:
        if len(cells) < self._width:
            cells = [*cells, *[None] * (self._width - len(cells))]
        for first, second in self._doubled:
            # The same said twice is lost without loss.
            if (text := text_of(cells[second])) and text != text_of(cells[first]):
                raise LedgerUnreadable("ledger.duplicate_columns")
        # A zero is what a formula makes of an empty cell.
        values: dict[Field, Cell] = {
            name: cell
            for name, column in self._columns
            if (cell := cells[column]) and not (isinstance(cell, str) and cell.isspace())
        }
        for name, columns in self._repeated:
            if said := "、".join(filter(None, (text_of(cells[column]) for column in columns))):
                values[name] = said
        merged = self._unmerge.values(number, values)
        if not values or _is_footer(cells, values):
            return None
        place, area = self._places.resolve(values, merged)
        if _PERSONAL.isdisjoint(values) or _is_vacant(values):
            return None
        for level in _PLACE_FIELDS & values.keys():
            del values[level]
        values |= area
        return Record(self._sheet, number, place, values)


class _Unmerge:
    """What the merged ranges over a row say: the values of their first cells.

    Only downwards: a range that is also several columns wide says one thing, and says it in
    its first column.
    """

    def __init__(self, merges: Merges, header: Header) -> None:
        self._merges = merges
        self._columns = [(name, header.columns[name][0]) for name in _MERGED if header.has(name)]
        self._open: dict[Field, tuple[int, Cell]] = {}

    def values(self, row: int, values: dict[Field, Cell]) -> dict[Field, Cell]:
        if not self._merges:
            return {}
        for name, column in self._columns:
            last = self._merges.get((row, column))
            if last is not None and name in values:
                self._open[name] = (last, values[name])
            elif name in self._open and row > self._open[name][0]:
                del self._open[name]
        return {name: value for name, (_, value) in self._open.items()}


class _Places:
    """Which dwelling each row belongs to, one row after the other."""

    def __init__(self, sheet: Sheet, header: Header) -> None:
        self._has_levels = header.has("building", "room", "group", "unit")
        # Sheets named after a compound or a building say what their columns leave out.
        named = dwellings.of_sheet_name(sheet.name)
        self._of_sheet: dict[Field, str] = {}
        if named.compound and not header.has("compound", "address"):
            self._of_sheet["compound"] = named.compound
        if named.building and not header.has("building", "group", "address"):
            self._of_sheet["building"] = named.building
        # The levels of the dwelling above as they were said, and all together.
        self._above: dict[Field, str] = {}
        self._place: Parts | None = None
        # Grid and village said of it.
        self._area: dict[Field, Cell] = {}
        # Whether rows without dwelling cells belong to what stands above them.
        self._open = False

    def resolve(
        self, values: dict[Field, Cell], merged: dict[Field, Cell]
    ) -> tuple[Parts | None, dict[Field, Cell]]:
        """The row's dwelling if it has one, and its grid and village."""
        area: dict[Field, Cell] = {}
        for name in _CARRIED:
            if name in values or name in merged:
                area[name] = values.get(name, merged.get(name))
        said = self._said(values) if not _PLACE_FIELDS.isdisjoint(values) else {}
        relation = _relation(values.get("relation_to_head"))
        covered = not merged.keys().isdisjoint(DWELLING_LEVELS)
        if not said:
            if self._open and relation != "head" and self._blank(values, covered=covered):
                self._area |= area
                return self._place, self._area
            # Beside columns for the levels an address is often another one, so it comes last.
            resolved = _address(values)
        else:
            # A merged range over a row that says nothing else makes no second head live there.
            if merged and "address" not in said:
                said = self._said({**merged, **values})
            resolved = self._levels(said, head=relation == "head")
        place = resolved if _LOST not in resolved.values() else _address(values)
        if not place:
            # The household of a relative who says no more than that goes on living where it lived.
            relative = relation not in (None, "head") and not covered
            self._open = self._open and relative and not _says_any(values)
            if not self._open:
                self._above = resolved or self._above
            return None, area
        inherits = resolved is self._above or not resolved.keys() <= said.keys()
        self._area = {**self._area, **area} if said and inherits else area
        self._open = _is_place(place)
        self._above = resolved
        self._place = Parts(**{**self._of_sheet, **place})
        return self._place, self._area

    def _blank(self, values: Mapping[Field, Cell], *, covered: bool) -> bool:
        """Whether the row's dwelling cells are all blank.

        Beside columns for the levels an address counts only if it says that there is none, and
        not against a range of the levels that covers the row.
        """
        # A cell of zero-width characters is blank to whoever looks at it.
        if any(level in values and text_of(values[level]) for level in DWELLING_LEVELS):
            return False
        address = text_of(values.get("address"))
        if not address:
            return True
        return self._has_levels and (covered or not says_nothing(address))

    def _said(self, values: dict[Field, Cell]) -> dict[Field, str]:
        """What the row itself says; a level that says "none" is there and empty."""
        said: dict[Field, str] = {}
        for level in DWELLING_LEVELS:
            if level not in values:
                continue
            text = _level(level, values[level])
            said[level] = self._above.get(level, "") if text in _DITTO else text
        if any(said.values()):
            return said
        address = _address(values)
        if self._has_levels or not address:
            return {}
        return dict(self._above) if address["address"] in _DITTO else address

    def _levels(self, said: dict[Field, str], *, head: bool) -> dict[Field, str]:
        above = self._above
        lowest = next(reversed(said))
        if (
            not head
            and self._open
            and lowest not in ("room", "address")
            and all(above.get(level) == text for level, text in said.items())
        ):
            return above
        highest = next(iter(said))
        if highest == "address":
            return said
        inherited = DWELLING_LEVELS[: DWELLING_LEVELS.index(highest)]
        if highest == "group" or dwellings.is_group(said[highest]):
            inherited = ()
        elif highest != "compound" and dwellings.is_composite(said[highest]):
            inherited = DWELLING_LEVELS[:1]
        return {**{level: above[level] for level in inherited if level in above}, **said}


def _is_place(resolved: Mapping[Field, str]) -> bool:
    if any(level in resolved for level in ("group", "building", "room", "address")):
        return True
    return dwellings.is_composite(resolved.get("compound", ""))


def _level(level: Field, cell: Cell) -> str:
    """What a cell says of a level, empty if there is none; _LOST if nobody knows it."""
    if isinstance(cell, (date, time)):
        return _LOST
    text = _dwelling_text(cell)
    if level != "compound" and dwellings.is_date(text):
        return _LOST
    if says_nothing(text):
        return _LOST if level in _WHERE and says_unknown(text) else ""
    return text


def _says_any(values: Mapping[Field, Cell]) -> bool:
    return any(not says_nothing(text_of(values[name])) for name in _PLACE_FIELDS & values.keys())


def _address(values: Mapping[Field, Cell]) -> dict[Field, str]:
    text = _level("address", values.get("address"))
    return {"address": text} if text and text != _LOST else {}


def _dwelling_text(cell: Cell) -> str:
    text = text_of(cell)
    return text if len(text) <= dwellings.MAX_WRITTEN_CHARACTERS else ""


def _relation(cell: Cell) -> str | None:
    return None if cell is None else _find_relation(text_of(cell))


def _is_vacant(values: dict[Field, Cell]) -> bool:
    name = values.get("name")
    if not isinstance(name, str) or "id_number" in values or "birth_date" in values:
        return False
    return folded(name) in _VACANT


def _is_footer(cells: Sequence[Cell], values: dict[Field, Cell]) -> bool:
    """Whether the row is a total, a signature or a remark and speaks of no person."""
    first = next((cell for cell in cells if cell and isinstance(cell, str)), None)
    if first is None:
        return False
    name = values.get("name")
    footer = _starts_footer(first) or (isinstance(name, str) and _starts_footer(name))
    if not footer and len(values) < 2 and sum(map(bool, cells)) == 1:
        footer = _REMARK.fullmatch(folded(text_of(first))) is not None
    # Whoever has a number is a person, even one called 合计.
    return footer and not _IDENTITY_DIGITS.search(folded(text_of(values.get("id_number"))))


def _starts_footer(text: str) -> bool:
    # Asked twice for every row: the patterns are for the few that may match.
    return text.lstrip()[:1] in _FOOTER_STARTS and bool(_FOOTER.fullmatch(folded(text_of(text))))
