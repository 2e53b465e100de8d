"""The demo town 九尺镇, with the figures it must reproduce to the last person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from services.cli.synth.ages import OLDEST, YOUNGEST, completed_years
from services.cli.synth.housing import DEMO_COMPOUND, DEMO_VILLAGE, Village
from services.cli.synth.ledger import COLUMNS, Row
from services.cli.synth.numbers import TOWN_BLOCK, IdentityNumbers
from services.cli.synth.population import resident_weight, shares, village_rows

RESIDENTS = 59_000
YOUNG_WOMEN = 3_256  # aged 25 to 35 in completed years, both ends included


@dataclass(frozen=True, slots=True)
class DemoResident:
    """The woman of 25 to 35 in 金沙小区 to whom the demo account `resident` belongs."""

    id_number: str = field(repr=False)
    name: str = field(repr=False)
    village_code: str
    compound: str
    building: str
    unit: str
    room: str = field(repr=False)
    grid_code: str


@dataclass(frozen=True, slots=True)
class Town:
    ledgers: Mapping[str, Sequence[Row]] = field(repr=False)  # by village code
    demo_resident: DemoResident


def town(*, today: date, seed: int = 59_000, villages: Sequence[Village]) -> Town:
    """59,000 residents of the 11 villages, 3,256 of them women aged 25 to 35 on `today`.

    No woman has her 25th or 36th birthday within 60 days of `today`, so the second figure
    holds for two months. Raises ValueError when `villages` lacks the one of the demo resident.
    """
    numbers = IdentityNumbers(TOWN_BLOCK)
    counts = shares(RESIDENTS, [resident_weight(village) for village in villages])
    # Young families have moved from the hamlets into the compounds.
    young = [
        count * (10 if village.rural else 11)
        for village, count in zip(villages, counts, strict=True)
    ]
    ledgers = {
        village.code: list(
            village_rows(
                village, count=count, today=today, seed=seed, numbers=numbers, young_women=women
            )
        )
        for village, count, women in zip(villages, counts, shares(YOUNG_WOMEN, young), strict=True)
    }
    if DEMO_VILLAGE not in ledgers:
        raise ValueError(f"the demo town needs village {DEMO_VILLAGE}")
    return Town(ledgers=ledgers, demo_resident=_demo_resident(ledgers[DEMO_VILLAGE], today))


def _demo_resident(rows: Sequence[Row], today: date) -> DemoResident:
    """The first in the compound who can be reached by phone."""
    for row in rows:
        cells = dict(zip(COLUMNS, row, strict=True))
        age = completed_years(date.fromisoformat(cells["出生日期"]), today)
        if (
            cells["小区"] == DEMO_COMPOUND
            and cells["性别"] == "女"
            and YOUNGEST <= age <= OLDEST
            and cells["联系电话"]
        ):
            return DemoResident(
                id_number=cells["身份证号码"],
                name=cells["姓名"],
                village_code=DEMO_VILLAGE,
                compound=cells["小区"],
                building=cells["楼栋"],
                unit=cells["单元"],
                room=cells["房号"],
                grid_code=cells["网格"],
            )
    raise ValueError(f"no woman of {YOUNGEST} to {OLDEST} lives in {DEMO_COMPOUND}")
