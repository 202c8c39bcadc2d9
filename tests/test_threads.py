"""How many threads, and what they do while they wait."""

import os

import pytest

from faststyle.threads import SLEEP_SOON, available_cores, may_spin, sleep_while_waiting

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert available_cores() == 2


@pytest.mark.parametrize(("count", "cores"), [(64, 64), (None, 1)])
def test_cores_where_none_are_reserved(count: int | None, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS and Windows do not tell."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert available_cores() == cores


def test_threads_sleep_from_then_on() -> None:
    assert may_spin()
    sleep_while_waiting()
    assert [os.environ[name] for name in VARIABLES] == list(SLEEP_SOON.values())
    assert not may_spin()


@pytest.mark.parametrize(("policy", "spinning"), [("ACTIVE", True), ("active", True), ("passive", False)])
def test_what_the_user_has_set_stays(policy: str, spinning: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    sleep_while_waiting()
    assert [os.environ[name] for name in VARIABLES] == [policy, "1000"]
    assert may_spin() == spinning
