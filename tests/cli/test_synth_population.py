"""Ledgers of any size, and their files."""

import csv
import io
import tracemalloc
from datetime import date
from itertools import islice
from pathlib import Path

import pytest
import python_calamine
from stdnum.iso7064 import mod_11_2

from services.cli.synth.ages import Ages, completed_years
from services.cli.synth.housing import Village, read_villages
from services.cli.synth.ledger import COLUMNS, Row, write_csv, write_xlsx
from services.cli.synth.numbers import OTHER_BLOCK, TOWN_BLOCK, IdentityNumbers
from services.cli.synth.population import city, people, shares, village_rows
from services.cli.synth.town import town

DIVISIONS = Path(__file__).parents[2] / "services/residents_api/data/divisions.csv"
VILLAGES = read_villages(DIVISIONS, within="510182")
JINSHA = next(village for village in VILLAGES if village.code == "510182104006")
HAMLET = next(village for village in VILLAGES if village.rural)
TODAY = date(2026, 11, 20)
ID_NUMBER, NAME, PHONE, GRID = (
    COLUMNS.index(c) for c in ("身份证号码", "姓名", "联系电话", "网格")
)


@pytest.mark.parametrize("village", [JINSHA, HAMLET], ids=["community", "hamlet"])
@pytest.mark.parametrize("count", [0, 1, 2, 6, 7, 41, 500])
def test_people_are_as_many_as_asked_for(count: int, village: Village) -> None:
    rows = list(people(count=count, village=village, today=TODAY))
    assert len(rows) == count
    assert len({row[ID_NUMBER] for row in rows}) == count


def test_people_depend_on_seed_and_day_alone() -> None:
    def some(seed: int, today: date) -> list[Row]:
        return list(people(count=300, village=JINSHA, today=today, seed=seed))

    assert some(1, TODAY) == some(1, TODAY)
    assert some(1, TODAY) != some(2, TODAY)
    assert some(1, TODAY) != some(1, date(2026, 11, 21))


def test_a_city_shares_its_residents_and_numbers_among_all_villages() -> None:
    assert len(VILLAGES) == 202
    numbers: set[str] = set()
    total = 0
    for code, rows in city(residents=20_000, villages=VILLAGES, today=TODAY):
        ledger = list(rows)
        assert ledger
        assert all(row[GRID].startswith(code) for row in ledger)
        total += len(ledger)
        numbers.update(row[ID_NUMBER] for row in ledger)
    assert total == len(numbers) == 20_000


def test_a_city_wide_ledger_keeps_memory_flat() -> None:
    tracemalloc.start()
    try:
        rows = people(count=870_000, village=JINSHA, today=TODAY)
        seen = sum(1 for _ in islice(rows, 10_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == 10_000
    assert peak < 3_000_000  # 10,000 rows held take over 6 MB


def test_grids_of_a_huge_village_still_have_three_digits() -> None:
    # 870,000 residents live in some 310,000 dwellings.
    rows = people(count=870_000, village=JINSHA, today=TODAY)
    *_, last = islice(rows, 20_000)
    assert int(last[GRID][12:]) * 870_000 / 20_000 < 999


def test_a_ledger_for_the_town_meets_none_of_its_people() -> None:
    demo = town(today=TODAY, villages=[v for v in VILLAGES if v.code.startswith("510182104")])
    taken = {row[ID_NUMBER] for rows in demo.ledgers.values() for row in rows}
    made = {row[ID_NUMBER] for row in people(count=5_000, village=JINSHA, today=TODAY, seed=59_000)}
    assert not taken & made


@pytest.mark.parametrize("block", [TOWN_BLOCK, OTHER_BLOCK])
@pytest.mark.parametrize("male", [True, False])
def test_numbers_of_a_day_are_distinct_until_they_run_out(block: range, male: bool) -> None:
    day = date(1992, 2, 29).toordinal()
    numbers = IdentityNumbers(block)
    given = [numbers.next(day, male=male) for _ in block]
    assert len(set(given)) == len(block)
    assert all(mod_11_2.is_valid(number) and number[6:14] == "19920229" for number in given)
    assert {int(number[16]) % 2 for number in given} == {int(male)}
    assert all("001" <= number[14:17] <= "998" for number in given)
    with pytest.raises(ValueError, match="1992-02-29"):
        numbers.next(day, male=male)
    assert numbers.next(day, male=not male)
    assert numbers.next(day + 1, male=male)


def test_blocks_never_meet() -> None:
    assert not set(TOWN_BLOCK) & set(OTHER_BLOCK)
    assert max(OTHER_BLOCK) * 2 + 2 == 998


def test_a_number_of_women_out_of_reach_is_refused() -> None:
    rows = village_rows(
        JINSHA, count=3_000, today=TODAY, seed=1, numbers=IdentityNumbers(OTHER_BLOCK), young_women=900
    )  # fmt: skip
    with pytest.raises(ValueError, match="900"):
        list(rows)


@pytest.mark.parametrize("today", [date(2026, 2, 28), date(2028, 2, 29), date(2027, 3, 1)])
def test_every_birth_near_a_boundary_is_moved_and_no_other(today: date) -> None:
    ages = Ages(today)

    def near(day: int) -> bool:
        day_born = date.fromordinal(day)
        for years in (25, 36):
            year = day_born.year + years
            leap = year % 4 == 0 and year % 100 != 0
            late = (day_born.month, day_born.day) == (2, 29) and not leap
            anniversary = date(year, 3, 1) if late else day_born.replace(year=year)
            if abs((anniversary - today).days) <= 60:
                return True
        return False

    for day in range(today.toordinal() - 38 * 365, today.toordinal() - 23 * 365):
        for chance in (0.0, 0.02, 0.5, 0.999):
            moved = ages.clear(day, lambda chance=chance: chance)
            assert not near(moved)
            assert (moved != day) == near(day)
            young = 25 <= completed_years(date.fromordinal(moved), today) <= 35
            assert ages.is_young_woman(moved, male=False) == young
            assert not ages.is_young_woman(moved, male=True)
    for chance in (0.0, 0.5, 0.9999999):
        assert ages.is_young_woman(ages.young_woman(lambda chance=chance: chance), male=False)
        assert not near(ages.young_woman(lambda chance=chance: chance))


def test_who_was_born_on_29_february_completes_a_year_on_1_march() -> None:
    leapling = date(2000, 2, 29)
    assert completed_years(leapling, date(2025, 2, 28)) == 24
    assert completed_years(leapling, date(2025, 3, 1)) == 25
    assert completed_years(leapling, date(2028, 2, 28)) == 27
    assert completed_years(leapling, date(2028, 2, 29)) == 28


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [(10, [1, 1], [5, 5]), (11, [1, 1], [5, 6]), (0, [3, 4], [0, 0]), (7, [1], [7])],
)
def test_shares_add_up(total: int, weights: list[int], expected: list[int]) -> None:
    assert shares(total, weights) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "gb18030"])
def test_csv_reads_back(tmp_path: Path, encoding: str) -> None:
    rows = list(people(count=200, village=HAMLET, today=TODAY))
    path = tmp_path / "台账.csv"
    write_csv(path, iter(rows), encoding=encoding)
    text = path.read_bytes().decode(encoding)
    assert [tuple(row) for row in csv.reader(io.StringIO(text))] == [COLUMNS, *rows]


def test_xlsx_reads_back_as_text(tmp_path: Path) -> None:
    rows = list(people(count=200, village=JINSHA, today=TODAY))
    path = tmp_path / "ledger.xlsx"
    write_xlsx(path, iter(rows), sheet="金沙社区")
    book = python_calamine.CalamineWorkbook.from_path(path)
    assert book.sheet_names == ["金沙社区"]
    assert [tuple(row) for row in book.get_sheet_by_index(0).to_python()] == [COLUMNS, *rows]


def test_mistakes_are_about_as_many_as_asked_for_and_of_every_kind() -> None:
    clean = list(people(count=4_000, village=JINSHA, today=TODAY))
    spoilt = list(people(count=4_000, village=JINSHA, today=TODAY, mistakes=0.1))
    assert len(spoilt) == len(clean)
    nameless = sum(not row[NAME] for row in spoilt)
    wrong = sum(len(row[ID_NUMBER]) == 18 and row[ID_NUMBER].isascii() and not mod_11_2.is_valid(row[ID_NUMBER]) for row in spoilt)  # fmt: skip
    short = sum(len(row[ID_NUMBER]) == 17 for row in spoilt)
    wide = sum(not row[ID_NUMBER].isascii() for row in spoilt)
    bad_phone = sum(row[PHONE] == "1380013" for row in spoilt)
    assert all(40 < number < 120 for number in (nameless, wrong, short, wide, bad_phone))
    for before, after in zip(clean, spoilt, strict=True):
        head = before[COLUMNS.index("与户主关系")] == "户主"
        assert after[1:5] == (before[1:5] if head else ("",) * 4)
    assert spoilt == list(people(count=4_000, village=JINSHA, today=TODAY, mistakes=0.1))
