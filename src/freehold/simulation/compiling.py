"""From plain functions of numbers to machine code where numba is installed; without it they stay what they are.

A strategy's score calls other functions of its module. They are compiled with it: a function is rebuilt over globals in
which every plain function that it names has been compiled first.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from types import FunctionType
from typing import Any

AVAILABLE = importlib.util.find_spec("numba") is not None
"""Whether there is a compiler."""


def compiled(function: Callable[..., Any], signature: object = None) -> Callable[..., Any]:
    """The function in machine code, without the interpreter's lock. `signature` is numba's; None: by its first call."""
    return _compiled(function, signature, {})


def score_signature() -> object:
    """The type of a strategy's score: the row and the weights to a number."""
    numba = importlib.import_module("numba")
    floats = numba.types.Array(numba.float64, 1, "C")
    return numba.float64(floats, floats)


def kernel_signature(score: object, *arguments: object) -> tuple[object, ...]:
    """The types of a kernel's arguments: a score of any strategy, so that one compilation serves all, and the rest."""
    numba = importlib.import_module("numba")
    return (numba.types.FunctionType(score), *(numba.typeof(argument) for argument in arguments))


def _compiled(
    function: Callable[..., Any], signature: object, done: dict[Callable[..., Any], Callable[..., Any]]
) -> Callable[..., Any]:
    if not isinstance(function, FunctionType):
        return function
    numba = importlib.import_module("numba")
    names = function.__code__.co_names
    called = {name: function.__globals__[name] for name in names if name in function.__globals__}
    scope = dict(function.__globals__)
    for name, each in called.items():
        if isinstance(each, FunctionType):
            if each not in done:
                done[each] = _compiled(each, None, done)
            scope[name] = done[each]
    rebuilt = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    # Nothing is allocated in a loop, so nothing has to be counted: reference counts would take nine tenths of its time.
    options = {"nogil": True, "error_model": "numpy", "_nrt": False}
    return numba.njit(**options)(rebuilt) if signature is None else numba.njit(signature, **options)(rebuilt)
