"""Phones: as workers write them into one cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.residents_api.domain import phones

A, B = "+8613812345678", "+8615987654321"
LANDLINE = "+862883701234"

mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


@pytest.mark.parametrize(
    ("cell", "valid", "invalid"),
    [
        ("13812345678", [A], []),
        (13812345678.0, [A], []),
        (13812345678, [A], []),
        ("１３８１２３４５６７８", [A], []),
        ("+86 138 1234 5678", [A], []),
        ("+86-13812345678", [A], []),
        ("0086 13812345678", [A], []),
        ("8613812345678", [A], []),
        ("(86)13812345678", [A], []),
        ("013812345678", [A], []),
        ("138-1234-5678", [A], []),
        ("138 1234 5678", [A], []),
        ("138.1234.5678", [A], []),
        ("13812345678、15987654321", [A, B], []),
        ("13812345678/15987654321", [A, B], []),
        ("13812345678,15987654321", [A, B], []),
        ("13812345678;15987654321", [A, B], []),
        ("13812345678；15987654321", [A, B], []),
        ("13812345678，15987654321", [A, B], []),
        ("13812345678\n15987654321", [A, B], []),
        ("13812345678 15987654321", [A, B], []),
        ("13812345678　15987654321", [A, B], []),
        ("13812345678或15987654321", [A, B], []),
        ("13812345678-15987654321", [A, B], []),
        ("1381234567815987654321", [A, B], []),
        ("138 1234 5678 159 8765 4321", [A, B], []),
        ("138-1234-5678 / 159-8765-4321", [A, B], []),
        ("13812345678(本人)15987654321（妻）", [A, B], []),
        ("本人:13812345678 妻:15987654321", [A, B], []),
        ("1、13812345678 2、15987654321", [A, B], []),
        ("1.13812345678 2.15987654321", [A, B], []),
        ("13812345678、13812345678", [A], []),
        ("028-83701234", [LANDLINE], []),
        ("(028)83701234", [LANDLINE], []),
        ("（028）83701234", [LANDLINE], []),
        ("0288370 1234", [LANDLINE], []),
        ("02883701234", [LANDLINE], []),
        (2883701234.0, [LANDLINE], []),
        ("+86 28 8370 1234", [LANDLINE], []),
        ("028-83701234-801", [LANDLINE], []),
        ("028-83701234转801", [LANDLINE], []),
        ("028—83701234/13812345678", [LANDLINE, A], []),
        ("0830-2345678", ["+868302345678"], []),
        ("+852 9123 4567", ["+85291234567"], []),
        ("0085291234567", ["+85291234567"], []),
        ("1380013", [], ["1380013"]),
        ("83701234", [], ["83701234"]),
        ("8701234", [], ["8701234"]),
        ("12812345678", [], ["12812345678"]),
        ("138123456789", [], ["138123456789"]),
        ("138****5678", [], ["138****5678"]),
        ("13812345678、1380013", [A], ["1380013"]),
        ("同户主", [], ["同户主"]),
        ("4008123123", [], ["4008123123"]),
        ("95588", [], ["95588"]),
        ("无", [], []),
        ("/", [], []),
        ("—", [], []),
        ("", [], []),
        (None, [], []),
        ("   ", [], []),
    ],
    ids=repr,
)
def test_split(cell: str | float | None, valid: list[str], invalid: list[str]) -> None:
    assert phones.split(cell) == (valid, invalid)


@given(
    st.lists(mobiles, min_size=1, max_size=4, unique=True),
    st.sampled_from(
        ["、", "/", ",", ";", "，", "；", " ", "\n", "或", " / ", "  ", "；\n", "和", "|"]
    ),
)
def test_all_mobiles_of_a_cell_are_found(numbers: list[str], separator: str) -> None:
    assert phones.split(separator.join(numbers)) == ([f"+86{n}" for n in numbers], [])


@pytest.mark.parametrize("cell", [1.38e20, "1.38123E+10"], ids=repr)
def test_a_number_that_a_spreadsheet_spoilt_is_none(cell: str | float) -> None:
    valid, invalid = phones.split(cell)
    assert valid == []
    assert invalid


@given(st.text(max_size=60))
def test_any_text_is_survived_and_what_is_valid_is_normal(text: str) -> None:
    valid, _ = phones.split(text)
    assert phones.split("、".join(valid)) == (valid, [])


@pytest.mark.parametrize(
    "text", ["1 " * 5000, "1" * 100_000, "(" * 5000, "1-" * 90, "+" * 150], ids=len
)
def test_long_cells_are_refused_quickly(text: str) -> None:
    valid, invalid = phones.split(text)
    assert valid == []
    assert all(len(piece) <= phones.MAX_CELL_CHARACTERS for piece in invalid)


def test_masks() -> None:
    assert phones.mask(A) == "138****5678"
    assert phones.mask(LANDLINE) == "028****1234"
    assert phones.mask("+85291234567") == "+852****4567"
    assert phones.mask_text("1380013") == "*******"
    assert phones.mask_text("张三138-1234") == "*****-****"
    assert phones.mask_text("1" * 500) == "*" * 40


@given(mobiles)
def test_a_mask_hides_the_middle(number: str) -> None:
    assert phones.mask("+86" + number) == f"{number[:3]}****{number[7:]}"
