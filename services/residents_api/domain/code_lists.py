"""The code lists of the register: national standards where there are any, and ledger words.

The entries are in `data/code_lists.csv`; a code once published never changes its meaning.
Codes on the wire are English words, except for peoples, which have their GB/T 3304 numbers, and
nationalities, which have the three letters of ISO 3166 that passports have, in lower case.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from types import MappingProxyType

from services.residents_api.domain.cells import folded


@dataclass(frozen=True, slots=True)
class Entry:
    """One code; `gb_code` is its number in the standard, `aliases` are words ledgers use for it."""

    code: str
    gb_code: str | None
    name_zh: str
    name_en: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class CodeList:
    """A list of codes with its names and the standard it follows, if one exists."""

    name: str
    name_zh: str
    name_en: str
    standard: str | None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The codes in the order in which people are shown them."""
        return _entries()[self.name]

    def find(self, text: str) -> str | None:
        """The code meant by a code, a name, a ledger word or a number of the standard."""
        return self.words.get(text) or self.words.get(folded(text))

    @cached_property
    def words(self) -> Mapping[str, str]:
        """Every word that find() knows, folded, to its code."""
        words: dict[str, str] = {}
        for entry in self.entries:
            for word in (entry.code, entry.name_zh, entry.name_en, entry.gb_code, *entry.aliases):
                if word:
                    words.setdefault(folded(word), entry.code)
                    # "1" for "01": a spreadsheet drops the leading zero.
                    if word.isdecimal():
                        words.setdefault(word.lstrip("0") or "0", entry.code)
        return words


CODE_LISTS: Mapping[str, CodeList] = MappingProxyType(
    {
        code_list.name: code_list
        for code_list in (
            CodeList("sex", "性别", "Sex", "GB/T 2261.1"),
            CodeList("ethnicity", "民族", "Ethnicity", "GB/T 3304"),
            CodeList("education", "文化程度", "Education", "GB/T 4658"),
            CodeList("marital_status", "婚姻状况", "Marital status", "GB/T 2261.2"),
            CodeList("political_status", "政治面貌", "Political status", "GB/T 4762"),
            CodeList("relation_to_head", "与户主关系", "Relation to household head", "GB/T 4761"),
            CodeList("population_type", "人口类型", "Population type", None),
            CodeList("tenure", "居住类型", "Tenure", None),
            CodeList("nationality", "国籍", "Nationality", "GB/T 2659"),
            CodeList("dwelling_use", "房屋用途", "Use of a dwelling", None),
            CodeList("building_status", "楼栋状态", "State of a building", None),
            CodeList("occupancy_state", "居住关系状态", "State of an occupancy", None),
            CodeList("resident_state", "居民状态", "State of a resident's record", None),
            CodeList("document_kind", "证件种类", "Kind of identity document", None),
            CodeList("document_status", "证件状态", "State of an identity document", None),
            CodeList("risk_level", "风险等级", "Risk level", None),
            CodeList("coordinate_system", "坐标系", "Coordinate system", None),
            CodeList("committee_kind", "小区自治组织", "Kind of committee", None),
            CodeList("contact_role", "小区联系人身份", "Role of a compound's contact", None),
        )
    }
)


@lru_cache(maxsize=1)
def _entries() -> Mapping[str, tuple[Entry, ...]]:
    source = files("services.residents_api.domain").joinpath("data/code_lists.csv")
    entries: dict[str, list[Entry]] = {}
    for row in csv.DictReader(source.read_text(encoding="utf-8").splitlines()):
        entries.setdefault(row["list"], []).append(
            Entry(
                code=row["code"],
                gb_code=row["gb_code"] or None,
                name_zh=row["name_zh"],
                name_en=row["name_en"],
                aliases=tuple(row["aliases"].split()),
            )
        )
    return {name: tuple(found) for name, found in entries.items()}
