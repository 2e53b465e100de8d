"""Who may change which field of a person: at once, after somebody has looked at it, or not at all.

The one table. A community worker and the offices above answer for the register and change it at once;
a grid worker asks them for what decides who somebody is, and a resident for all that others rely on.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum

from services.common.access import Role


class Handling(StrEnum):
    AT_ONCE = "at_once"
    REVIEW = "review"
    NEVER = "never"


# Who decides on what needs a review.
REVIEWERS = frozenset({Role.COMMUNITY_WORKER, Role.TOWN_OFFICER, Role.CITY_OFFICER})

_ONCE, _REVIEW, _NEVER = Handling.AT_ONCE, Handling.REVIEW, Handling.NEVER

# Field: what a resident may do, and what a grid worker may.
_TABLE: Mapping[str, tuple[Handling, Handling]] = {
    "name": (_REVIEW, _REVIEW),
    "id_number": (_REVIEW, _REVIEW),
    "birth_date": (_REVIEW, _REVIEW),
    "sex": (_REVIEW, _REVIEW),
    "nationality": (_REVIEW, _REVIEW),
    "ethnicity": (_REVIEW, _REVIEW),
    "population_type": (_REVIEW, _REVIEW),
    "registered_address": (_REVIEW, _ONCE),
    "marital_status": (_REVIEW, _ONCE),
    "political_status": (_REVIEW, _ONCE),
    "education": (_ONCE, _ONCE),
    "occupation": (_ONCE, _ONCE),
    "employer": (_ONCE, _ONCE),
    "phones": (_ONCE, _ONCE),
    "note": (_NEVER, _ONCE),
}
FIELDS = frozenset(_TABLE)


def handling(field: str, roles: Collection[Role], *, is_own: bool) -> Handling:
    """How a change of a field by somebody with these roles is handled.

    Of their own record everybody is a resident, whatever else they are.
    """
    of_resident, of_grid_worker = _TABLE[field]
    if is_own:
        return of_resident
    if REVIEWERS.intersection(roles):
        return _ONCE
    return of_grid_worker if Role.GRID_WORKER in roles else _NEVER
