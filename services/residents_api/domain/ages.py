"""How old somebody is."""

from datetime import date

OF_AGE = 18


def age(birth_date: date, *, on: date) -> int:
    """In whole years; who was born on 29 February has their birthday on 1 March in other years."""
    before_birthday = (on.month, on.day) < (birth_date.month, birth_date.day)
    return on.year - birth_date.year - before_birthday


def is_minor(birth_date: date | None, *, on: date) -> bool:
    """False if nobody knows."""
    return birth_date is not None and age(birth_date, on=on) < OF_AGE
