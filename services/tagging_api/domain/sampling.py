"""Samples of bitmaps: the same residents as `domain.rules.chosen` and `first_of` say.

A sample of a city hashes everybody in it. Done one by one that holds everybody up for most of a
second; here some thousand numbers lie side by side in one long integer, 64 bits each, and are hashed
by the same few operations. No product of 32 bits and the 27 of the mixer reaches its neighbour.
"""

from array import array
from itertools import compress
from typing import Final

from pyroaring import BitMap

from services.tagging_api.domain.rules import WHOLE

_MIXER: Final = 0x45D9F3B
_BITS: Final = 0xFFFFFFFF
_EVERY_HASH: Final = 1 << 32
_AT_ONCE: Final = 8192
_LANE: Final = 8


def drawn(members: BitMap, n: int | None, basis_points: int | None, seed: int) -> BitMap:
    """`n` of the members, or each with a chance of `basis_points`."""
    if n is None:
        # hash * WHOLE < basis_points << 32, for whole numbers.
        limit = -(-((basis_points or 0) << 32) // WHOLE)
        return _numbers(_below(members, limit, seed))
    if len(members) <= n:
        return members
    # So many lie below this hash on average; a few more, and it is rarely too low.
    limit = int((n + 4 * n**0.5 + 8) / len(members) * _EVERY_HASH)
    while len(keys := _below(members, min(limit, _EVERY_HASH), seed)) < n:
        limit *= 2
    return _numbers(sorted(keys)[:n])


def _numbers(keys: "array[int] | list[int]") -> BitMap:
    return BitMap(array("I", sorted(key & _BITS for key in keys)))


def _below(members: BitMap, limit: int, seed: int) -> "array[int]":
    """The members whose hash lies below `limit`: hash << 32 | number of each."""
    found = array("Q")
    numbers = members.to_array()
    for start in range(0, len(numbers), _AT_ONCE):
        found.extend(_block_below(numbers[start : start + _AT_ONCE], limit, seed))
    return found


def _block_below(block: "array[int]", limit: int, seed: int) -> "compress[int]":
    width = len(block) * _LANE
    one = int.from_bytes(b"\1\0\0\0\0\0\0\0" * len(block), "little")
    bits = one * _BITS
    numbers = int.from_bytes(array("Q", block).tobytes(), "little")
    x = numbers ^ one * (seed * _MIXER & _BITS)
    for _ in range(2):
        # What is shifted in from the next lane lies above the mask's 32 bits.
        x = (((x >> 16) & bits) ^ x) * _MIXER & bits
    x ^= (x >> 16) & bits
    keys = array("Q", (x << 32 | numbers).to_bytes(width, "little"))
    # The 33rd bit of a lane is left only where the hash is not too large.
    below = (one * (_EVERY_HASH + limit - 1) - x) >> 32 & one
    return compress(keys, below.to_bytes(width, "little")[::_LANE])
