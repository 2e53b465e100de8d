"""How alike two records are."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from services.residents_api.domain.duplicates import WORTH_A_LOOK, Person, likeness

HOME, OTHER_HOME = UUID(int=10), UUID(int=11)
NO_PHONE = frozenset[bytes]()
NOWHERE = frozenset[UUID]()


def somebody(**values: Any) -> Person:
    said: dict[str, Any] = {
        "id": UUID(int=1),
        "name": "王小明",
        "pinyin": "wangxiaoming",
        "sex": "male",
        "birth_date": date(1990, 5, 1),
        "phones": frozenset({b"1"}),
        "dwellings": frozenset({HOME}),
        **values,
    }
    return Person(**said)


@pytest.mark.parametrize(
    ("other", "reasons"),
    [
        ({}, {"name.same", "birth_date.same", "phone.same", "dwelling.same"}),
        ({"name": "王晓明"}, {"name.same_sound", "birth_date.same", "phone.same", "dwelling.same"}),
        ({"birth_date": date(1990, 1, 5), "sex": None}, {
            "name.same", "birth_date.similar", "phone.same", "dwelling.same"}),
        ({"phones": NO_PHONE, "dwellings": NOWHERE}, {"name.same", "birth_date.same"}),
        ({"birth_date": None}, {"name.same", "phone.same", "dwelling.same"}),
    ],
)  # fmt: skip
def test_worth_a_look(other: dict[str, Any], reasons: set[str]) -> None:
    one, two = somebody(), somebody(**other)
    assert likeness(one, two) == likeness(two, one)
    assert likeness(one, two).score >= WORTH_A_LOOK
    assert set(likeness(one, two).reasons) == reasons


@pytest.mark.parametrize(
    "other",
    [
        {"name": "王芳", "pinyin": "wangfang", "sex": "female", "birth_date": date(1991, 2, 3)},
        {"name": "李强", "pinyin": "liqiang"},
        {"birth_date": date(1956, 7, 8), "phones": NO_PHONE},
        {"phones": NO_PHONE, "dwellings": NOWHERE, "sex": "female"},
        {"phones": NO_PHONE, "dwellings": NOWHERE, "card": b"b"},
    ],
)
def test_not_worth_a_look(other: dict[str, Any]) -> None:
    assert likeness(somebody(card=b"a"), somebody(**other)).score < WORTH_A_LOOK


def test_addresses_are_compared_by_how_they_are_written() -> None:
    one = somebody(dwellings=NOWHERE, addresses=("金沙小区 1 2 301",))
    two = somebody(dwellings=frozenset({OTHER_HOME}), addresses=("金沙小区 1 2 30l",))
    assert "address.similar" in likeness(one, two).reasons


def test_nobody_is_printed() -> None:
    assert "王" not in repr(somebody())
