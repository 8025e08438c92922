"""A secret gives itself away only when asked."""

import copy
import json
import pickle
from collections.abc import Callable

import msgspec
import pytest

from freehold.config import Secret

SECRET = Secret("sk-planted")


def test_it_does_not_show() -> None:
    shown = [repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET!r:>40}", repr({"key": SECRET}), format(SECRET)]
    assert "planted" not in "".join(shown)


@pytest.mark.parametrize(
    "dump", [json.dumps, msgspec.json.encode, pickle.dumps, copy.deepcopy], ids=["json", "msgspec", "pickle", "copy"]
)
def test_it_is_not_serialised_by_accident(dump: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        dump(SECRET)
    assert "planted" not in str(caught.value)


def test_it_is_there_for_whoever_asks() -> None:
    assert SECRET.reveal() == "sk-planted"


def test_it_compares_and_is_no_key() -> None:
    assert Secret("sk-planted") == SECRET
    assert Secret("other") != SECRET
    assert SECRET != "sk-planted"
    assert not Secret("")
    with pytest.raises(TypeError):
        hash(SECRET)
