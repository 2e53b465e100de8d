"""Which role may do what: the one table.

`docs/access.md` is made from it (`shequ access`), and every route names one of these permissions;
a service does not start with a route that names none. A permission says *what*; *where* is the
caller's areas, which each service applies to every row on its own.
"""

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """What a caller may do. The same words are the OAuth scopes of API clients."""

    REFERENCE_READ = "reference.read"
    RESIDENTS_READ = "residents.read"
    RESIDENTS_WRITE = "residents.write"
    RESIDENTS_REVEAL = "residents.reveal"
    RESIDENTS_IMPORT = "residents.import"
    ACCESSES_READ = "accesses.read"
    TAGS_READ = "tags.read"
    TAGS_WRITE = "tags.write"
    TAGS_HIGHEST = "tags.highest"
    TAG_ASSIGNMENTS_WRITE = "tag_assignments.write"
    AUDIENCES_COUNT = "audiences.count"
    CAMPAIGNS_WRITE = "campaigns.write"
    MESSAGES_READ = "messages.read"
    REPORTS_CREATE = "reports.create"
    REPORTS_READ = "reports.read"
    REPORTS_HANDLE = "reports.handle"
    ACCOUNTS_WRITE = "accounts.write"


class Role(StrEnum):
    RESIDENT = "resident"
    GRID_WORKER = "grid_worker"
    COMMUNITY_WORKER = "community_worker"
    TOWN_OFFICER = "town_officer"
    CITY_OFFICER = "city_officer"
    AUDITOR = "auditor"
    ADMIN = "admin"
    CLIENT = "client"


_P = Permission

_GRID_WORKER = frozenset(
    {
        _P.REFERENCE_READ,
        _P.RESIDENTS_READ,
        _P.RESIDENTS_WRITE,
        _P.RESIDENTS_REVEAL,
        _P.TAGS_READ,
        _P.TAG_ASSIGNMENTS_WRITE,
        _P.AUDIENCES_COUNT,
        _P.MESSAGES_READ,
        _P.REPORTS_CREATE,
        _P.REPORTS_READ,
        _P.REPORTS_HANDLE,
    }
)
_COMMUNITY_WORKER = _GRID_WORKER | {_P.RESIDENTS_IMPORT, _P.CAMPAIGNS_WRITE}
_OFFICER = _COMMUNITY_WORKER | {_P.TAGS_WRITE, _P.TAGS_HIGHEST}

# A resident reads and writes only what is their own: reports they made, messages sent to them.
# An auditor sees who read which record, and an admin keeps accounts; neither sees a person.
# A client has, of its row, only what its registration grants.
GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.RESIDENT: frozenset(
        {_P.REFERENCE_READ, _P.MESSAGES_READ, _P.REPORTS_CREATE, _P.REPORTS_READ}
    ),
    Role.GRID_WORKER: _GRID_WORKER,
    Role.COMMUNITY_WORKER: _COMMUNITY_WORKER,
    Role.TOWN_OFFICER: _OFFICER,
    Role.CITY_OFFICER: _OFFICER,
    Role.AUDITOR: frozenset({_P.REFERENCE_READ, _P.ACCESSES_READ}),
    Role.ADMIN: frozenset({_P.REFERENCE_READ, _P.ACCOUNTS_WRITE}),
    Role.CLIENT: frozenset(
        {
            _P.REFERENCE_READ,
            _P.RESIDENTS_READ,
            _P.TAGS_READ,
            _P.AUDIENCES_COUNT,
            _P.CAMPAIGNS_WRITE,
            _P.REPORTS_READ,
        }
    ),
}


def granted(roles: frozenset[Role]) -> frozenset[Permission]:
    """Everything that at least one of the roles may do."""
    return frozenset[Permission]().union(*(GRANTS[role] for role in roles))
