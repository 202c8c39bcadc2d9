"""How much is measured: a trial does less of everything."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from faststyle.experiments.gpu_job import TINY, Amount


def numbers(value: Any) -> Iterator[int]:
    if isinstance(value, tuple):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, int):
        yield value


def test_a_trial_does_less_of_everything() -> None:
    tiny, whole = asdict(TINY), asdict(Amount())
    for key in tiny.keys() - {"settings"}:
        assert sum(numbers(tiny[key])) < sum(numbers(whole[key]))
        assert type(tiny[key]) is type(whole[key])
    assert set(whole["settings"]) < set(tiny["settings"])
