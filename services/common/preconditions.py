"""`ETag` and `If-Match`: nobody overwrites what they have not read.

A row's version number is its entity tag. An update without If-Match is a 428; one that names
another version than the row has, or the row's own as a weak tag, is a 412. `*` is whatever version
there is (RFC 9110), for those who mean to overwrite.
"""

import re
from typing import Annotated

from fastapi import Depends, Header

from services.common.problems import PreconditionFailed, PreconditionRequired

# Versions begin at 1.
ANY_VERSION = -1

_ETAG = re.compile(r'"(0|[1-9][0-9]{0,17})"')


def etag(version: int) -> str:
    """The entity tag of a version, quotes included."""
    return f'"{version}"'


def version_in_header(
    if_match: Annotated[
        str | None,
        Header(description="The `ETag` of what was read.", examples=['"3"'], max_length=100),
    ] = None,
) -> int:
    """The version that the caller has read, ANY_VERSION if that is all the same.

    Raises PreconditionRequired without the header, and PreconditionFailed for a tag that was never
    given out: it cannot be that of the row.
    """
    if if_match is None:
        raise PreconditionRequired()
    if if_match.strip() == "*":
        return ANY_VERSION
    if (match := _ETAG.fullmatch(if_match.strip())) is None:
        raise PreconditionFailed()
    return int(match[1])


IfMatch = Annotated[int, Depends(version_in_header)]


def check_version(current: int, wanted: int) -> None:
    """Raises PreconditionFailed unless the row, locked by the caller, still has that version."""
    if wanted not in (current, ANY_VERSION):
        raise PreconditionFailed()
