"""Replays of traces through the routing strategies, under prices and outages that change.

    trace ──┐
    prices ─┼─▶ world ─▶ replay (kernel) ─▶ outcome ─▶ measures
    outages ┘              └─ the strategies' own score functions

Needs the extra `simulation`: numpy, and numba, without which the same loop runs as plain Python.
"""
