"""Who may see a tag, give it, and reach people by it.

The permission comes first: a route has asked for it. A tag may name the roles that are let in; one of
the highest sensitivity asks for a permission of its own, too. A tag that a caller may not see is to
them as if it did not exist.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement

from services.common.access import Permission
from services.common.security import Caller
from services.tagging_api.models import Tag
from services.tagging_api.repository import tags as repository
from services.tagging_api.schemas.tags import Sensitivity


def sees(caller: Caller, tag: Tag) -> bool:
    highest = tag.sensitivity == Sensitivity.HIGHEST
    return _among(caller, tag.may_see) and (not highest or caller.may(Permission.TAGS_HIGHEST))


def assigns(caller: Caller, tag: Tag) -> bool:
    return sees(caller, tag) and _among(caller, tag.may_assign)


def targets(caller: Caller, tag: Tag) -> bool:
    return sees(caller, tag) and _among(caller, tag.may_target)


def shown(caller: Caller) -> ColumnElement[bool]:
    """The SQL of `sees`, over `tag`."""
    return repository.shown(roles=caller.roles, highest_too=caller.may(Permission.TAGS_HIGHEST))


def _among(caller: Caller, roles: Sequence[str] | None) -> bool:
    return roles is None or any(role in caller.roles for role in roles)
