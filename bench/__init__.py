"""Benchmarks: each a ratio to a named baseline measured beside it in the same run.

`python -m bench NAME` prints, as its last line, `NAME ratio=4.80 target=<=6`, and exits 0 only if the
target is met. Machines are noisy, ratios less so: both sides run several times in turns, and the
best of each counts.
"""
