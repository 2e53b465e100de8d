"""Identity numbers and phone numbers of people who do not exist."""

from collections.abc import Callable
from datetime import date

from services.residents_api.domain.identity_numbers import make

AREA_CODE = "519900"  # assigned to no place

_STEP = 37  # shares no factor with the size of either block
# The demo town has a block of its own, so that a ledger made to be imported into it meets nobody.
TOWN_BLOCK = range(100)
OTHER_BLOCK = range(100, 499)

# Sold for data cards and machines: valid numbers, yet hardly any of them rings with a person.
_PHONE_PREFIXES = ("145", "147", "172")


class IdentityNumbers:
    """Hands out each number once: per birth date and sex one for each member of the block."""

    def __init__(self, block: range) -> None:
        self._block = block
        self._taken: dict[int, int] = {}

    def next(self, birth: int, *, male: bool) -> str:
        """A number for a person born on the ordinal day `birth`.

        Raises ValueError when the day has none left (100 or 399 people of one sex).
        """
        key = birth * 2 + male
        taken = self._taken.get(key, 0)
        if taken == len(self._block):
            raise ValueError(f"all identity numbers of {date.fromordinal(birth)} are taken")
        self._taken[key] = taken + 1
        place = self._block[(key + taken * _STEP) % len(self._block)]
        sequence = 2 * place + (1 if male else 2)
        return make(AREA_CODE, date.fromordinal(birth), sequence)


def phone(draw: Callable[[], float]) -> str:
    number = int(draw() * 300_000_000)
    return f"{_PHONE_PREFIXES[number % 3]}{number // 3:08d}"
