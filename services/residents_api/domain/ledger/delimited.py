"""Ledgers as delimited text: CSV as Excel, WPS and databases write it.

UTF-8 with or without mark, UTF-16 with mark, GB18030 (and so GBK and GB2312); comma, semicolon
or tab. Read line by line, so a ledger of any length needs the memory of one record.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TextIO

from services.residents_api.domain.ledger import headers
from services.residents_api.domain.ledger.limits import (
    MAX_LINE_CHARACTERS,
    MAX_RECORD_LINES,
    MAX_TEXT_BYTES,
)
from services.residents_api.domain.ledger.sheets import Sheet, is_blank
from services.residents_api.domain.ledger.unreadable import LedgerUnreadable

_CHUNK = 1 << 20
_DELIMITERS = (",", "\t", ";")
_MARKUP = re.compile(rb"\s*(?:<[!?a-z]|\{\\rtf|%PDF-)", re.IGNORECASE)
# ="519902…" keeps Excel from making a number of it.
_KEPT_AS_TEXT = re.compile(r'="([^"]*)"')
_KEPT_FROM_RUNNING = ("'=", "'+", "'-", "'@", "'\t", "'\r")
# Of a thousand characters, how many may be damaged before we say that it is no text.
_TOLERATED_DAMAGE = 20
# Controls that no text has; a cell or two may still have caught some.
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]+")
_TOLERATED_CONTROLS = 20


def open_text(path: Path, words: headers.Words) -> Sheet:
    """The text file as a sheet without a name; LedgerUnreadable if it is none or has no header."""
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise LedgerUnreadable("ledger.too_large")
    encoding = _encoding(path)
    best: Sheet | None = None
    blank = binary = False
    for delimiter in _DELIMITERS:
        read = partial(_rows, path, encoding, delimiter)
        first = list(islice(read(), headers.SEARCHED_ROWS))
        blank = blank or all(is_blank([str(cell).strip() for cell in cells]) for _, cells in first)
        binary = binary or any(_CONTROLS.search(str(cell)) for _, cells in first for cell in cells)
        header = headers.find(first, words)
        if header and (best is None or len(header.columns) > len(best.header.columns)):
            best = Sheet("", header, read)
    if best is None:
        if binary:
            raise LedgerUnreadable("ledger.format")
        raise LedgerUnreadable("ledger.empty" if blank else "ledger.no_header")
    return best


def _encoding(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(_CHUNK)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ("utf-16",)
    elif _MARKUP.match(start):
        raise LedgerUnreadable("ledger.format")
    else:
        candidates = ("utf-8-sig", "gb18030")
    damage = [(_damage(path, encoding), encoding) for encoding in candidates]
    for share, encoding in damage:
        # Damaged UTF-8 may well decode as GB18030, into nonsense; GB18030 never as UTF-8.
        if share <= _TOLERATED_DAMAGE:
            return encoding
    raise LedgerUnreadable("ledger.format")


def _damage(path: Path, encoding: str) -> float:
    """Undecodable sequences per thousand characters."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    characters = damaged = controls = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            text = decoder.decode(chunk)
            controls += sum(map(len, _CONTROLS.findall(text)))
            characters += len(text)
            damaged += text.count("\ufffd")
    damaged += decoder.decode(b"", final=True).count("\ufffd")
    if 1000 * controls > _TOLERATED_CONTROLS * max(characters, 1000):
        raise LedgerUnreadable("ledger.format")
    return 1000 * damaged / max(characters, 1)


def _rows(path: Path, encoding: str, delimiter: str) -> Iterator[headers.Row]:
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        lines = _lines(stream)
        waiting: deque[str] = deque()
        number = 1
        while line := waiting.popleft() if waiting else next(lines, ""):
            if '"' not in line:
                plain = line.rstrip("\r\n").split(delimiter)
                yield number, _unmarked(plain) if "'" in line else plain
                number += 1
                continue
            waiting.appendleft(line)
            waiting.extend(islice(lines, MAX_RECORD_LINES - len(waiting)))
            cells, taken = _quoted(waiting, delimiter)
            yield number, _unmarked(cells)
            number += 1
            for _ in range(taken):
                waiting.popleft()


def _unmarked(cells: list[str]) -> list[str]:
    """Without the mark that keeps a spreadsheet from running a text: our own exports have it."""
    return [cell[1:] if cell.startswith(_KEPT_FROM_RUNNING) else cell for cell in cells]


def _lines(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(MAX_LINE_CHARACTERS):
        if len(line) == MAX_LINE_CHARACTERS:
            raise LedgerUnreadable("ledger.too_large")
        yield line


def _quoted(lines: deque[str], delimiter: str) -> tuple[list[str], int]:
    """The record that begins with the first line, and how many lines it takes.

    A quotation mark that is never closed is somebody's inch mark: the line is then taken
    as it stands, so that it does not swallow the people on the lines below.
    """
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    try:
        cells = next(reader)
    except csv.Error:
        return [cell.strip('"') for cell in lines[0].rstrip("\r\n").split(delimiter)], 1
    return [_KEPT_AS_TEXT.sub(r"\1", cell) for cell in cells], reader.line_num
