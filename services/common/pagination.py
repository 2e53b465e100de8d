"""Page tokens: where the last page ended, opaque to the caller. Never an OFFSET."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select, SQLColumnExpression, tuple_
from starlette.requests import Request

from services.common.problems import RequestInvalid, Text

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
_PAGE_PARAMETERS = ("page_size", "page_token")
_MARK_BYTES = 6

Keys = TypeVar("Keys", bound=tuple[Any, ...])
Row = TypeVar("Row")
Statement = TypeVar("Statement", bound=Select[*tuple[Any, ...]])


class PageRequest:
    """Which page of which list is asked for. An over-large size is lowered, not refused.

    `of` tells lists apart, filters included: a token of another one is refused.
    """

    def __init__(
        self,
        *,
        of: str = "",
        size: int | None = None,
        token: str | None = None,
        pointer: str = "/query/page_token",
    ) -> None:
        self.of = of
        self.size = min(size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        self._token = token
        self._pointer = pointer

    def after(self, keys: type[Keys]) -> Keys | None:
        """The sort keys of the last row already seen, typed as the caller says; None on page one."""
        if self._token is None:
            return None
        try:
            padded = self._token + "=" * (-len(self._token) % 4)
            raw = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
            if not raw.startswith(_mark(self.of)):
                raise ValueError("a token of another list")
            return TypeAdapter(keys).validate_json(raw[_MARK_BYTES:])
        except (binascii.Error, UnicodeError, ValidationError, ValueError):
            raise RequestInvalid.at(
                self._pointer,
                "page_token.invalid",
                Text("翻页标记无效", "This page_token was not given by this list"),
            ) from None


def token_for(of: str, *keys: Any) -> str:
    """The token of the page of a list that follows the row with these sort keys."""
    raw = json.dumps([str(key) if key is not None else None for key in keys]).encode()
    return base64.urlsafe_b64encode(_mark(of) + raw).rstrip(b"=").decode()


def _mark(of: str) -> bytes:
    # No secret: it keeps an honest client from a wrong page. Areas and roles keep others out.
    return hashlib.sha256(of.encode()).digest()[:_MARK_BYTES]


def list_of(request: Request) -> str:
    """The list that a GET asks for: its path and filters, without which page of it."""
    filters = sorted(
        pair for pair in request.query_params.multi_items() if pair[0] not in _PAGE_PARAMETERS
    )
    return f"{request.url.path}?{urlencode(filters)}"


def page_in_query(
    request: Request,
    page_size: Annotated[
        int | None,
        Query(ge=1, le=2**31 - 1, description="How many items at most; 200 is the limit."),
    ] = None,
    page_token: Annotated[
        str | None, Query(max_length=1000, description="`next_page_token` of the page before.")
    ] = None,
) -> PageRequest:
    return PageRequest(of=list_of(request), size=page_size, token=page_token)


PageInQuery = Annotated[PageRequest, Depends(page_in_query)]


def keyset(
    statement: Statement,
    *columns: SQLColumnExpression[Any],
    after: tuple[Any, ...] | None,
    size: int,
    descending: bool = False,
) -> Statement:
    """Order by `columns`, start after the keys, and fetch one row more than a page.

    The extra row tells whether there is a next page; `cut` takes it off again.
    """
    if after is not None:
        seen = tuple_(*columns)
        statement = statement.where(seen < after if descending else seen > after)
    order = [column.desc() for column in columns] if descending else columns
    return statement.order_by(*order).limit(size + 1)


def cut(
    rows: Sequence[Row], page: PageRequest, *, keys: Callable[[Row], tuple[Any, ...]]
) -> tuple[Sequence[Row], str | None]:
    """The rows of one page, and the token of the next if there is more."""
    if len(rows) <= page.size:
        return rows, None
    shown = rows[: page.size]
    return shown, token_for(page.of, *keys(shown[-1]))
