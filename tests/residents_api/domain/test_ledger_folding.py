"""Rows of one person, and what they say together."""

from datetime import date

from services.residents_api.domain.cells import Cell
from services.residents_api.domain.dwellings import Parts
from services.residents_api.domain.ledger import Field, LedgerRow, Record, check
from tests.residents_api.domain.folding import duplicates, fold
from tests.residents_api.domain.ledgers import TODAY, number

A, B = Parts("", "", "1", "", "101"), Parts("", "", "1", "", "102")


Said = tuple[Parts, dict[Field, Cell]]


def rows(*said: Said) -> list[LedgerRow]:
    return [
        check(Record("台账", index, place, {"name": "张三", **cells}), today=TODAY)
        for index, (place, cells) in enumerate(said, 2)
    ]


def persons(*said: Said) -> list[list[int]]:
    return [[row.row for row in person.rows] for person in fold(rows(*said))]


ONE: dict[Field, Cell] = {"id_number": number("1990-05-01", 1)}
TWO: dict[Field, Cell] = {"id_number": number("1990-05-01", 3)}
NONE: dict[Field, Cell] = {"birth_date": "1990-05-01"}
OTHER_DAY: dict[Field, Cell] = {"birth_date": "1990-05-02"}


def test_the_same_number_is_the_same_person_everywhere() -> None:
    said: list[Said] = [(A, ONE), (B, ONE), (A, {**ONE, "name": "张叁"})]
    assert persons(*said) == [[2, 3, 4]]
    assert duplicates(rows(*said)) == {("台账", 4)}
    (person,) = fold(rows(*said))
    assert [occupancy.dwelling.room for occupancy in person.occupancies] == ["101", "102"]


def test_different_numbers_are_different_persons() -> None:
    assert persons((A, ONE), (A, TWO)) == [[2], [3]]
    assert duplicates(rows((A, ONE), (A, TWO))) == set()


def test_without_number_name_and_birth_date_hold_within_a_dwelling() -> None:
    assert persons((A, NONE), (A, NONE)) == [[2, 3]]
    assert persons((A, NONE), (B, NONE)) == [[2], [3]]
    assert persons((A, NONE), (A, {**NONE, "name": "李四"})) == [[2], [3]]
    assert persons((A, NONE), (A, OTHER_DAY)) == [[2], [3]]


def test_a_row_without_number_joins_the_one_with_it_before_or_after() -> None:
    assert persons((A, ONE), (A, NONE)) == [[2, 3]]
    assert persons((A, NONE), (A, ONE)) == [[2, 3]]
    assert persons((A, NONE), (A, ONE), (B, ONE)) == [[2, 3, 4]]
    assert persons((A, ONE), (B, NONE)) == [[2], [3]]
    assert duplicates(rows((A, NONE), (A, ONE))) == {("台账", 3)}


def test_rejected_rows_take_no_part() -> None:
    said: list[Said] = [(A, {**ONE, "name": ""}), (A, ONE), (A, {**ONE, "name": ""})]
    assert persons(*said) == [[3]]
    assert duplicates(rows(*said)) == set()


def test_the_last_value_that_says_something_wins() -> None:
    (person,) = fold(
        rows(
            (
                A,
                {
                    **ONE,
                    "education": "高中",
                    "phones": "13812345678",
                    "labels": "志愿者",
                    "note": "一",
                },
            ),
            (A, {**ONE, "education": "本科", "tenure": "自有", "start_date": "2020-01-01"}),
            (B, {**ONE, "phones": "15987654321、13812345678", "labels": "党员", "tenure": "租住"}),
            (A, {**ONE, "education": "无", "note": "", "tenure": "?", "relation_to_head": "户主"}),
        )
    )
    assert person.education == "undergraduate"
    assert person.note == "一"
    assert person.phones == ("+8613812345678", "+8615987654321")
    assert person.labels == ("志愿者", "党员")
    first, second = person.occupancies
    assert (first.tenure, first.relation_to_head, first.start_date) == (
        "owner",
        "head",
        date(2020, 1, 1),
    )
    assert (second.tenure, second.relation_to_head, second.start_date) == ("tenant", None, None)


def test_nothing_personal_in_repr() -> None:
    (person,) = fold(rows((A, ONE)))
    assert repr(person) == "Person(rows=[('台账', 2)])"
