from __future__ import annotations

import pytest

from workbench.waiting import WaitTimeout, wait_until


def test_returns_the_first_true_value() -> None:
    values = iter([None, 0, "", "here"])
    assert wait_until(lambda: next(values), what="a value", every=0.001) == "here"


def test_asks_at_least_once() -> None:
    assert wait_until(lambda: 7, what="seven", timeout=0) == 7


def test_asks_once_more_when_the_time_is_up() -> None:
    values = iter([None, "late"])
    assert wait_until(lambda: next(values), what="a value", timeout=0.01, every=0.05) == "late"


def test_timeout_names_what_the_limit_and_the_last_value() -> None:
    with pytest.raises(WaitTimeout) as caught:
        wait_until(dict, what="the draft to be gone", timeout=0.05, every=0.01)
    assert str(caught.value).splitlines() == [
        "Waited 0.05 s for the draft to be gone, in vain.",
        "Last value seen: {}",
    ]


def test_what_the_check_raises_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, what="the impossible")
