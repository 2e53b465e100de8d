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
    AREAS_WRITE = "areas.write"
    DIVISIONS_WRITE = "divisions.write"
    RESIDENTS_READ = "residents.read"
    RESIDENTS_WRITE = "residents.write"
    RESIDENTS_REVEAL = "residents.reveal"
    RESIDENTS_IMPORT = "residents.import"
    RESIDENTS_EXPORT = "residents.export"
    RESIDENTS_REVIEW = "residents.review"
    RESIDENTS_ERASE = "residents.erase"
    RESIDENTS_OWN = "residents.own"
    STATISTICS_READ = "statistics.read"
    ACCESSES_READ = "accesses.read"
    ACCESSES_READ_OWN = "accesses.read_own"
    TAGS_READ = "tags.read"
    TAGS_WRITE = "tags.write"
    TAGS_HIGHEST = "tags.highest"
    TAG_ASSIGNMENTS_WRITE = "tag_assignments.write"
    AUDIENCES_COUNT = "audiences.count"
    AUDIENCES_WRITE = "audiences.write"
    CAMPAIGNS_WRITE = "campaigns.write"
    CAMPAIGNS_APPROVE = "campaigns.approve"
    CAMPAIGNS_EMERGENCY = "campaigns.emergency"
    WEBHOOKS_WRITE = "webhooks.write"
    SURVEYS_READ = "surveys.read"
    SURVEYS_WRITE = "surveys.write"
    VISITS_WRITE = "visits.write"
    SITE_PLANS_WRITE = "site_plans.write"
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
        _P.STATISTICS_READ,
        _P.TAGS_READ,
        _P.TAG_ASSIGNMENTS_WRITE,
        _P.AUDIENCES_COUNT,
        _P.AUDIENCES_WRITE,
        _P.VISITS_WRITE,
        _P.MESSAGES_READ,
        _P.REPORTS_CREATE,
        _P.REPORTS_READ,
        _P.REPORTS_HANDLE,
    }
)
_COMMUNITY_WORKER = _GRID_WORKER | {
    _P.AREAS_WRITE,
    _P.RESIDENTS_REVIEW,
    _P.RESIDENTS_IMPORT,
    _P.RESIDENTS_EXPORT,
    _P.CAMPAIGNS_WRITE,
    _P.SURVEYS_READ,
    _P.SURVEYS_WRITE,
    _P.SITE_PLANS_WRITE,
}
_OFFICER = _COMMUNITY_WORKER | {
    _P.RESIDENTS_ERASE,
    _P.DIVISIONS_WRITE,
    _P.TAGS_WRITE,
    _P.TAGS_HIGHEST,
    _P.CAMPAIGNS_APPROVE,
    _P.CAMPAIGNS_EMERGENCY,
    _P.WEBHOOKS_WRITE,
}

# A resident reads and writes only what is their own: reports they made, messages sent to them.
# An auditor sees who read which record, and an admin keeps accounts; neither sees a person.
# A client has, of its row, only what its registration grants.
GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.RESIDENT: frozenset(
        {
            _P.REFERENCE_READ,
            _P.ACCESSES_READ_OWN,
            _P.RESIDENTS_OWN,
            _P.MESSAGES_READ,
            _P.REPORTS_CREATE,
            _P.REPORTS_READ,
        }
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
            _P.STATISTICS_READ,
            _P.TAGS_READ,
            _P.AUDIENCES_COUNT,
            _P.CAMPAIGNS_WRITE,
            _P.SURVEYS_READ,
            _P.REPORTS_READ,
        }
    ),
}


def granted(roles: frozenset[Role]) -> frozenset[Permission]:
    """Everything that at least one of the roles may do."""
    return frozenset[Permission]().union(*(GRANTS[role] for role in roles))
