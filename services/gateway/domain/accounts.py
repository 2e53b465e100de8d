"""What an account and a client may look like, whoever makes them."""

import re
from collections.abc import Collection, Iterator
from uuid import UUID

from services.common.access import GRANTS, Permission, Role
from services.common.areas import Area
from services.common.problems import FieldError, Text

NAME_PATTERN = r"^[a-z0-9._-]{1,64}$"
MIN_PASSWORD = 8
MIN_SECRET = 16
MAX_SECRET = 200
MAX_AREAS = 100

_NAME = re.compile(NAME_PATTERN.rstrip("$") + r"\Z")


def account_faults(
    *,
    name: str,
    password: str,
    roles: Collection[Role],
    areas: Collection[str],
    resident_id: UUID | None,
) -> Iterator[FieldError]:
    """Everything that is wrong with an account to be."""
    yield from _name_faults("/name", name)
    yield from _secret_faults("/password", password, at_least=MIN_PASSWORD)
    yield from _area_faults(areas)
    if not roles:
        yield FieldError("/roles", "roles.missing", Text("至少需要一个角色", "Name a role"))
    if Role.CLIENT in roles:
        yield FieldError(
            "/roles", "roles.client", Text("账号不能使用客户端角色", "Clients have no account")
        )
    is_resident = Role.RESIDENT in roles
    if is_resident and resident_id is None:
        yield FieldError(
            "/resident_id",
            "resident_id.missing",
            Text("居民角色需要对应的居民", "The resident role needs the resident it stands for"),
        )
    if resident_id is not None and not is_resident:
        yield FieldError(
            "/resident_id",
            "resident_id.without_role",
            Text("只有居民角色才对应居民", "Only the resident role stands for a resident"),
        )
    # A resident's reach is their own record; every other role works somewhere.
    if set(roles) - {Role.RESIDENT} and not areas:
        yield FieldError("/areas", "areas.missing", Text("至少需要一个区域", "Name an area"))


def client_faults(
    *, client_id: str, secret: str, scopes: Collection[Permission], areas: Collection[str]
) -> Iterator[FieldError]:
    """Everything that is wrong with a client to be."""
    yield from _name_faults("/client_id", client_id)
    yield from _secret_faults("/secret", secret, at_least=MIN_SECRET)
    yield from _area_faults(areas)
    if not GRANTS[Role.CLIENT].issuperset(scopes):
        yield FieldError(
            "/scopes", "scopes.not_grantable", Text("超出客户端权限", "More than a client may do")
        )
    if not areas:
        yield FieldError("/areas", "areas.missing", Text("至少需要一个区域", "Name an area"))


def password_faults(password: str) -> Iterator[FieldError]:
    yield from _secret_faults("/password", password, at_least=MIN_PASSWORD)


def _name_faults(pointer: str, name: str) -> Iterator[FieldError]:
    if not _NAME.match(name):
        yield FieldError(
            pointer,
            "name.malformed",
            Text("由1至64个小写字母、数字、点、下划线或连字符组成", "1 to 64 of a-z 0-9 . _ -"),
        )


def _secret_faults(pointer: str, secret: str, *, at_least: int) -> Iterator[FieldError]:
    if not at_least <= len(secret) <= MAX_SECRET or not secret.isprintable():
        yield FieldError(
            pointer,
            "secret.length",
            Text(
                f"应为{at_least}至{MAX_SECRET}个可打印字符",
                f"{at_least} to {MAX_SECRET} printable characters",
            ),
        )


def _area_faults(areas: Collection[str]) -> Iterator[FieldError]:
    if len(areas) > MAX_AREAS:
        yield FieldError("/areas", "areas.too_many", Text("区域过多", "Too many areas"))
    for index, area in enumerate(areas):
        try:
            Area.parse(area)
        except ValueError:
            yield FieldError(
                f"/areas/{index}", "area.malformed", Text("不是有效的区域", "Not an area")
            )
