"""GB 11643 numbers: what is refused, what is forgiven, and what a number says."""

import pickle
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.residents_api.domain import identity_numbers
from services.residents_api.domain.identity_numbers import IdentityNumberError

TODAY = date(2026, 11, 24)
# The weights of GB 11643, written out: a second opinion beside the library's arithmetic.
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS = "10X98765432"

births = st.dates(min_value=date(1900, 1, 1), max_value=TODAY)
areas = st.sampled_from(["519900", "519901", "519902"])
sequences = st.integers(min_value=0, max_value=999)


def refusal(text: object) -> str:
    with pytest.raises(IdentityNumberError) as caught:
        identity_numbers.parse(text, today=TODAY)  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == caught.value.code, "the message holds nothing but the code"
    assert caught.value.__cause__ is None
    return caught.value.code


@given(areas, births, sequences)
def test_what_is_made_is_read_back(area: str, birth: date, sequence: int) -> None:
    number = identity_numbers.make(area, birth, sequence)
    assert (
        number[17]
        == CHECKS[
            sum(int(digit) * weight for digit, weight in zip(number, WEIGHTS, strict=False)) % 11
        ]
    )
    read = identity_numbers.parse(number, today=TODAY)
    assert (read.number, read.birth_date, read.upgraded) == (number, birth, False)
    assert read.sex == ("male" if sequence % 2 else "female")


@given(areas, births, sequences, st.data())
def test_every_other_check_character_is_refused(
    area: str, birth: date, sequence: int, data: st.DataObject
) -> None:
    number = identity_numbers.make(area, birth, sequence)
    wrong = data.draw(st.sampled_from(sorted(set("0123456789X") - {number[17]})))
    assert refusal(number[:17] + wrong) == "id_number.check_digit"


@given(areas, births, sequences, st.integers(min_value=14, max_value=16), st.data())
def test_one_wrong_digit_of_the_sequence_is_noticed(
    area: str, birth: date, sequence: int, position: int, data: st.DataObject
) -> None:
    number = identity_numbers.make(area, birth, sequence)
    digit = data.draw(st.sampled_from(sorted(set("0123456789") - {number[position]})))
    assert refusal(number[:position] + digit + number[position + 1 :]) == "id_number.check_digit"


@given(
    areas,
    st.dates(min_value=date(1900, 1, 1), max_value=date(1999, 12, 31)),
    sequences,
    st.sampled_from([str, int, float]),
)
def test_fifteen_digits_are_upgraded_and_survive_as_numbers(
    area: str, birth: date, sequence: int, kind: type
) -> None:
    number = identity_numbers.make(area, birth, sequence)
    legacy = number[:6] + number[8:17]
    read = identity_numbers.parse(kind(legacy), today=TODAY)
    assert (read.number, read.birth_date, read.upgraded) == (number, birth, True)


@given(areas, births, sequences)
def test_as_people_write_them(area: str, birth: date, sequence: int) -> None:
    number = identity_numbers.make(area, birth, sequence)
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number)
    for written in (
        f"'{number}",
        f"‘{number}",
        f"\t{number} ",
        number.lower(),
        wide,
        wide.lower(),
        f"{number[:6]} {number[6:14]} {number[14:]}",
        f"{number[:6]}-{number[6:14]}-{number[14:]}",
        f"{number[:6]}\u3000{number[6:]}\u200b",
        f"\ufeff{number}\n",
    ):
        assert identity_numbers.parse(written, today=TODAY).number == number


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (5.10182e17, "id_number.precision_lost"),
        (519902200209082710.0, "id_number.precision_lost"),
        (519902200209082710, "id_number.precision_lost"),
        (1e15, "id_number.precision_lost"),
        (-5.1e17, "id_number.precision_lost"),
        (float("inf"), "id_number.precision_lost"),
        ("5.10182E+17", "id_number.precision_lost"),
        ("5.1E+17", "id_number.precision_lost"),
        ("5.10182e17", "id_number.precision_lost"),
        ("５.１０１８２Ｅ＋１７", "id_number.precision_lost"),
        ("519902200209082752.0", "id_number.precision_lost"),
        (float("nan"), "id_number.format"),
        (519902.5, "id_number.format"),
        ("5199022006032899", "id_number.length"),
        ("5199022002090827100", "id_number.length"),
        ("", "id_number.length"),
        (None, "id_number.length"),
        (0.0, "id_number.length"),
        (True, "id_number.length"),
        ("E12345678", "id_number.length"),
        ("5199021971AB204160", "id_number.format"),
        ("51990219710120416Y", "id_number.format"),
        ("X19902197101204160", "id_number.format"),
        ("51990261090580X", "id_number.format"),
        ("٥١٩٩٠٢١٩٧١٠١٢٠٤١٦٠", "id_number.format"),
        ("51990219850230559X", "id_number.birth_date"),
        ("519902198513011234", "id_number.birth_date"),
        ("519902190002291234", "id_number.birth_date"),
        ("519902000000001234", "id_number.birth_date"),
        ("519902184912311234", "id_number.birth_date"),
        ("519902610230809", "id_number.birth_date"),
        ("519902202611251234", "birth_date.in_future"),
        ("519902999912311234", "birth_date.in_future"),
    ],
    ids=repr,
)
def test_refused(text: object, code: str) -> None:
    assert refusal(text) == code


def test_leap_days_exist_in_leap_years_only() -> None:
    for year in range(1900, 2027):
        day = date(year, 2, 28) + timedelta(days=1)
        number = identity_numbers.make("519900", day, 1)
        as_leap_day = f"{number[:10]}0229{number[14:]}"
        if day.month == 2:
            assert identity_numbers.parse(number, today=TODAY).birth_date == day
        else:
            assert refusal(as_leap_day) == "id_number.birth_date"


def test_born_today_is_no_future() -> None:
    number = identity_numbers.make("519900", TODAY, 2)
    assert identity_numbers.parse(number, today=TODAY).birth_date == TODAY
    with pytest.raises(IdentityNumberError, match=r"birth_date\.in_future"):
        identity_numbers.parse(number, today=TODAY - timedelta(days=1))


def test_an_area_code_that_no_place_has_is_no_error() -> None:
    for area in ("519900", "000000", "999999", "810000"):
        number = identity_numbers.make(area, date(1990, 5, 1), 123)
        assert identity_numbers.parse(number, today=TODAY).number == number


@pytest.mark.parametrize(
    ("area", "sequence"), [("5199", 1), ("51990X", 1), ("519900", 1000), ("519900", -1)]
)
def test_no_number_is_made_of_nonsense(area: str, sequence: int) -> None:
    with pytest.raises(ValueError, match="6 digits"):
        identity_numbers.make(area, date(1990, 1, 1), sequence)


@given(areas, births, sequences)
def test_the_mask_hides_all_but_the_region_and_the_check(
    area: str, birth: date, sequence: int
) -> None:
    number = identity_numbers.make(area, birth, sequence)
    masked = identity_numbers.mask(number)
    assert masked == f"519{'*' * 14}{number[17]}"
    assert identity_numbers.mask(number[:4]) == "****"


def test_nothing_personal_in_repr_and_pickle_keeps_the_code() -> None:
    read = identity_numbers.parse("519902200209082710", today=TODAY)
    assert "5199022002" not in repr(read)
    assert "2002" not in repr(read)
    assert pickle.loads(pickle.dumps(read)) == read  # noqa: S301  our own bytes
    error = pickle.loads(pickle.dumps(IdentityNumberError("id_number.length")))  # noqa: S301
    assert error.code == "id_number.length"
