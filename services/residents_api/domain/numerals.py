"""Chinese numerals as ledgers use them: 三栋, 十二单元, 二〇一五年."""

_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {
    **dict.fromkeys("〇○", 0),
    "两": 2,
}

# For a character class in a regular expression.
CHARACTERS = "〇零○一二两三四五六七八九十百"


def to_int(text: str) -> int | None:
    """The value of a Chinese numeral below 1,000, or of digits read one by one; else None.

    >>> to_int("二十三"), to_int("十"), to_int("一百零二"), to_int("一九八五"), to_int("三栋")
    (23, 10, 102, 1985, None)
    """
    if not text or len(text) > 9:
        return None
    if all(character in _DIGITS for character in text):
        return int("".join(str(_DIGITS[character]) for character in text))
    total, digit = 0, None
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character == "十" and total % 100 == 0:
            # 十二 is 12, but 一百十二 is also written for 112.
            total += 10 * (1 if digit is None or digit == 0 else digit)
            digit = None
        elif character == "百" and total == 0 and digit:
            total, digit = 100 * digit, None
        else:
            return None
    return total + (digit or 0)
