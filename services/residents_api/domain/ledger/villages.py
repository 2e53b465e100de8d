"""Whether a ledger's row says that it belongs to another village (村, 社区) than the ledger."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from services.residents_api.domain.cells import folded

_OFFICE = re.compile(r"(?:社区|村)?(?:居民委员会|村民委员会|居委会|村委会|居委|村委)$")
_KIND = re.compile(r"(?:社区|村)$")
_VILLAGE_CODE = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class Villages:
    """The village of a ledger and those around it, by their bare names (金沙, 升平)."""

    code: str
    own: str
    others: frozenset[str]

    @classmethod
    def of(cls, code: str, names: Mapping[str, str]) -> "Villages":
        """Of the villages' names by code, the ledger's among them."""
        own = bare(names.get(code, ""))
        return cls(code, own, frozenset(map(bare, names.values())) - {own, ""})

    def names_another(self, text: str) -> bool:
        """Whether the text names one of the others.

        Towns may stand before (九尺镇升平村). What is no village's name says nothing.
        """
        return _names_another(self, text)


# A ledger has few different ones.
@lru_cache(maxsize=1 << 8)
def _names_another(villages: Villages, text: str) -> bool:
    said = folded(text)
    if _VILLAGE_CODE.fullmatch(said):
        return said != villages.code
    name = bare(said)
    if villages.own and name.endswith(villages.own):
        return False
    return any(
        name == other or re.search(rf"(?:镇|乡|街道|市|区|县){re.escape(other)}$", name)
        for other in villages.others
    )


def bare(name: str) -> str:
    """Of 金沙社区居委会, 金沙社区 and 金沙, each time 金沙."""
    return _KIND.sub("", _OFFICE.sub("", folded(name)))
