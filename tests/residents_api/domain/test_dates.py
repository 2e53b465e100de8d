"""Dates in every style that workers use."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.residents_api.domain import dates
from services.residents_api.domain.dates import DateError

TODAY = date(2026, 11, 24)
days = st.dates(min_value=date(1906, 1, 9), max_value=date(2099, 12, 31))


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2002-09-08", date(2002, 9, 8)),
        ("2021.8.15", date(2021, 8, 15)),
        ("2012/9/1", date(2012, 9, 1)),
        ("2015年3月", date(2015, 3, 1)),
        ("2015年3月5日", date(2015, 3, 5)),
        ("2015年3月5号", date(2015, 3, 5)),
        ("2015年03月", date(2015, 3, 1)),
        ("2015年3月份", date(2015, 3, 1)),
        ("2015 年 3 月 5 日", date(2015, 3, 5)),
        ("20150305", date(2015, 3, 5)),
        (20150305, date(2015, 3, 5)),
        (20150305.0, date(2015, 3, 5)),
        ("1990.5", date(1990, 5, 1)),
        (1990.5, date(1990, 5, 1)),
        (1990.1, date(1990, 1, 1)),
        (1990.11, date(1990, 11, 1)),
        ("1990.10", date(1990, 10, 1)),
        ("1990-05", date(1990, 5, 1)),
        ("1990/5", date(1990, 5, 1)),
        ("199005", date(1990, 5, 1)),
        (199005.0, date(1990, 5, 1)),
        ("1990年", date(1990, 1, 1)),
        ("1990", date(1990, 1, 1)),
        (1990.0, date(1990, 1, 1)),
        ("44197", date(2021, 1, 1)),
        (44197, date(2021, 1, 1)),
        (44197.0, date(2021, 1, 1)),
        (44197.75, date(2021, 1, 1)),
        ("44197.5", date(2021, 1, 1)),
        (3654.0, date(1910, 1, 1)),
        (date(2020, 2, 29), date(2020, 2, 29)),
        (datetime(2020, 2, 29, 13, 5), date(2020, 2, 29)),  # noqa: DTZ001  a cell has no zone
        ("2020-02-29T00:00:00", date(2020, 2, 29)),
        ("2020-02-29 00:00:00", date(2020, 2, 29)),
        ("2020-02-29T00:00:00.000Z", date(2020, 2, 29)),
        ("2020-02-29T00:00:00+08:00", date(2020, 2, 29)),
        ("2020/2/29 0:00", date(2020, 2, 29)),
        ("２０２０－０２－２９", date(2020, 2, 29)),
        ("２０２０．２．２９", date(2020, 2, 29)),
        ("2020、2、29", date(2020, 2, 29)),
        ("2020,2,29", date(2020, 2, 29)),
        ("2020 2 29", date(2020, 2, 29)),
        ("2020.2.29.", date(2020, 2, 29)),
        ("2020—2—29", date(2020, 2, 29)),
        ("'2020-02-29", date(2020, 2, 29)),
        (" 2020-02-29\u200b", date(2020, 2, 29)),
        ("85.3.2", date(1985, 3, 2)),
        ("85年3月", date(1985, 3, 1)),
        ("05-3-2", date(2005, 3, 2)),
        ("26.11.24", date(2026, 11, 24)),
        ("26.11.25", date(1926, 11, 25)),
        ("00.2.29", date(2000, 2, 29)),
        ("850302", date(1985, 3, 2)),
        ("二〇一五年三月五日", date(2015, 3, 5)),
        ("一九八五年十二月三十一日", date(1985, 12, 31)),
        ("2015年三月", date(2015, 3, 1)),
        ("2031-05-01", date(2031, 5, 1)),
    ],
    ids=repr,
)
def test_read(cell: str | float | date, day: date) -> None:
    assert dates.parse(cell, today=TODAY) == day


@pytest.mark.parametrize(
    "cell",
    [
        "2021-02-30",
        "2021-13-01",
        "2021-00-10",
        "2021.2.29",
        "3/5/2015",
        "13/25/2015",
        "85.3",
        "不详",
        "长期",
        "2015年腊月",
        "农历1985年三月",
        "1849-12-31",
        "2200-01-01",
        "0000-00-00",
        "9" * 50,
        "20211301",
        "12345678901",
        "123",
        123,
        0.5,
        -44197.0,
        1e300,
        True,
        time(12, 0),
        timedelta(days=3),
        date(1, 1, 1),
        "2015-3-5-7",
        "2015年3月5日6日",
        "一千九百",
        "٢٠١٥-٠٣-٠٥",
        "2015-03-05' OR 1=1",
    ],
    ids=repr,
)
def test_nonsense(cell: str | float | date | time | timedelta) -> None:
    with pytest.raises(DateError) as caught:
        dates.parse(cell, today=TODAY)
    assert str(caught.value) == "not a date"


@pytest.mark.parametrize("cell", [None, "", "  ", "\u3000", "\u200b", float("nan")])
def test_nothing(cell: str | float | None) -> None:
    assert dates.parse(cell, today=TODAY) is None


@given(days)
def test_every_day_in_every_style(day: date) -> None:
    year, month, number = day.year, day.month, day.day
    serial = (day - date(1899, 12, 30)).days
    for written in (
        day.isoformat(),
        f"{year}.{month}.{number}",
        f"{year}/{month}/{number}",
        f"{year}年{month}月{number}日",
        f"{day:%Y%m%d}",
        f"{year}-{month:02}-{number:02} 00:00:00",
        day,
        serial,
        float(serial),
        # 20203 typed as text may be March 2020.
        *([] if 19_001 <= serial < 20_400 else [str(serial)]),
    ):
        assert dates.parse(written, today=TODAY) == day
    assert dates.parse(f"{year}年{month}月", today=TODAY) == day.replace(day=1)


@given(st.dates(min_value=date(1926, 11, 25), max_value=TODAY))
def test_two_digits_of_a_year_mean_the_latest_that_has_been(day: date) -> None:
    assert dates.parse(f"{day:%y}.{day.month}.{day.day}", today=TODAY) == day


@given(st.text(max_size=45))
def test_any_text_is_a_date_or_an_error(text: str) -> None:
    try:
        found = dates.parse(text, today=TODAY)
    except DateError:
        return
    assert found is None or dates.EARLIEST_YEAR <= found.year <= dates.LATEST_YEAR


def test_how_much_was_written() -> None:
    day = dates.parse_written("1990-05-20", today=TODAY)
    month = dates.parse_written("1990.5", today=TODAY)
    year = dates.parse_written("1990年", today=TODAY)
    assert day
    assert month
    assert year
    assert [w.precision for w in (day, month, year)] == ["day", "month", "year"]
    assert day.agrees_with(date(1990, 5, 20))
    assert not day.agrees_with(date(1990, 5, 21))
    assert month.agrees_with(date(1990, 5, 20))
    assert not month.agrees_with(date(1990, 6, 1))
    assert year.agrees_with(date(1990, 12, 31))
    assert not year.agrees_with(date(1991, 1, 1))


@pytest.mark.parametrize("text", ["20203", "19551", " ２０２０３ "])
def test_a_month_without_its_zero_is_no_serial_number(text: str) -> None:
    with pytest.raises(DateError):
        dates.parse(text, today=TODAY)
    # A cell that a spreadsheet kept as a number is one.
    assert dates.parse(20203, today=TODAY) == date(1955, 4, 24)
    assert dates.parse("44197", today=TODAY) == date(2021, 1, 1)
