"""Villages full of people, as ledger rows, one household after the other in flat memory."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import pairwise

from services.cli.synth import traits
from services.cli.synth.ages import YEAR, Ages, completed_years
from services.cli.synth.households import LARGEST, Families, Household, Pace, Person
from services.cli.synth.housing import Dwelling, Village, dwellings
from services.cli.synth.ledger import Row
from services.cli.synth.mistakes import with_mistakes
from services.cli.synth.numbers import OTHER_BLOCK, IdentityNumbers, phone

_BORN_HERE = {"子", "女", "孙子", "孙女"}

# The last tenants of a village bring its women of 25 to 35 to the number asked for.
_CLOSING = 2 * Pace.LAG


def people(
    *, count: int, village: Village, today: date, seed: int = 1, mistakes: float = 0.0
) -> Iterator[Row]:
    """The ledger of one village with `count` residents, a share of its rows spoilt."""
    numbers = IdentityNumbers(OTHER_BLOCK)
    rows = village_rows(village, count=count, today=today, seed=seed, numbers=numbers)
    return with_mistakes(rows, share=mistakes, seed=seed) if mistakes else rows


def city(
    *, residents: int, villages: Sequence[Village], today: date, seed: int = 1
) -> Iterator[tuple[str, Iterator[Row]]]:
    """Each village's code and ledger; no identity number occurs twice in all of them."""
    numbers = IdentityNumbers(OTHER_BLOCK)
    weights = [resident_weight(village) for village in villages]
    for village, count in zip(villages, shares(residents, weights), strict=True):
        yield (
            village.code,
            village_rows(village, count=count, today=today, seed=seed, numbers=numbers),
        )


def resident_weight(village: Village) -> int:
    """How many people live in it, beside others: a community has twice those of a village."""
    serial = int(village.code[-3:])
    return (100 if village.rural else 215) + serial * 7 % 31


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts, as near to the weights as can be."""
    whole, edges, upto = sum(weights), [0], 0
    for weight in weights:
        upto += weight
        edges.append(total * upto // whole)
    return [high - low for low, high in pairwise(edges)]


def village_rows(
    village: Village,
    *,
    count: int,
    today: date,
    seed: int,
    numbers: IdentityNumbers,
    young_women: int | None = None,
) -> Iterator[Row]:
    """`count` rows, `young_women` of them women of 25 to 35 if a number is given.

    Raises ValueError when that number is out of reach: by itself a village comes to between
    5 and 6 in a hundred.
    """
    draw = random.Random(f"{seed}:{village.code}").random  # noqa: S311 - nothing here is secret
    ages = Ages(today)
    pace = Pace(residents=count, young_women=young_women)
    families = Families(ages=ages, pace=pace, draw=draw)
    homes = dwellings(village, per_grid=max(280, count // 2000), draw=draw)
    writer = _Writer(ages, numbers, draw)
    closing = LARGEST - 1 if young_women is None else _CLOSING
    while (left := count - pace.people) > 0:
        dwelling, hamlet = next(homes)
        if left > closing:
            household = families.household(hamlet=hamlet)
        else:
            household = families.tenants(most=left, young_women=pace.missing())
        yield from writer.rows(household, dwelling, hamlet=hamlet)
    if young_women is not None and pace.missing():
        raise ValueError(f"{young_women} women of 25 to 35 among {count} are out of reach")


class _Writer:
    """Turns households into rows, with what only the ledger needs to know of each person."""

    def __init__(self, ages: Ages, numbers: IdentityNumbers, draw: Callable[[], float]) -> None:
        self._ages, self._numbers, self._draw = ages, numbers, draw
        self._today = date.fromordinal(ages.today)
        self._serial = 0

    def rows(self, household: Household, dwelling: Dwelling, *, hamlet: bool) -> Iterator[Row]:
        draw = self._draw
        rented = household.tenure == "tenant"
        tenure = "租住" if rented else "借住" if draw() < 0.04 else "自有"
        registered = "流动人口" if draw() < (0.7 if rented else 0.04) else "户籍人口"
        ethnicity = traits.ethnicity(draw)
        moved_in = self._ages.today - int(draw() * YEAR * (5 if rented else 40 if hamlet else 18))
        for person in household.people:
            yield self._row(
                person, dwelling, hamlet=hamlet, tenure=tenure, registered=registered,
                ethnicity=ethnicity, moved_in=moved_in,
            )  # fmt: skip

    def _row(
        self,
        person: Person,
        dwelling: Dwelling,
        *,
        hamlet: bool,
        tenure: str,
        registered: str,
        ethnicity: str,
        moved_in: int,
    ) -> Row:
        draw = self._draw
        self._serial += 1
        born = date.fromordinal(person.birth)
        age = completed_years(born, self._today)
        schooling = traits.education(age, draw)
        party = traits.politics(age, schooling=schooling, draw=draw)
        arrived = (
            person.birth + (2 if person.relation in _BORN_HERE else 20 * 365) + int(draw() * 30)
        )
        start = max(moved_in, min(arrived, self._ages.today))
        return (
            str(self._serial),
            dwelling.compound,
            dwelling.building,
            dwelling.unit,
            dwelling.room,
            person.relation,
            person.name,
            "男" if person.male else "女",
            ethnicity,
            self._numbers.next(person.birth, male=person.male),
            born.isoformat(),
            self._phones(age),
            schooling,
            person.marital,
            party,
            traits.occupation(age, male=person.male, schooling=schooling, hamlet=hamlet, draw=draw),
            registered,
            tenure,
            date.fromordinal(start).isoformat(),
            traits.labels(age, male=person.male, schooling=schooling, party=party, draw=draw),
            "",
            dwelling.grid,
        )

    def _phones(self, age: int) -> str:
        chance = self._draw()
        if age < 14 or chance > (0.6 if age < 18 or age >= 80 else 0.97):
            return ""
        if age >= 18 and chance < 0.03:
            return f"{phone(self._draw)}/{phone(self._draw)}"
        return phone(self._draw)
