"""A comparison alternates, pairs, and says only what its rounds bear."""

import gc
import re
from collections.abc import Callable

import pytest

from nexus import measure
from nexus.measure import Comparison, Ratio, compare

TIMES = "\N{MULTIPLICATION SIGN}"


def nothing() -> None: ...


def spin(turns: int) -> Callable[[], int]:
    return lambda: sum(range(turns))


def test_rounds_run_forwards_and_backwards() -> None:
    called: list[str] = []
    compare({name: lambda name=name: called.append(name) for name in "abc"}, rounds=5, warmup=1)
    assert "".join(called) == "abc" + "cba" + "abc" + "cba" + "abc" + "cba"


def test_times_are_those_of_the_rounds_without_the_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0

    def clock() -> int:
        return now

    def work(steps: list[int]) -> Callable[[], None]:
        def step() -> None:
            nonlocal now
            now += steps.pop(0)

        return step

    monkeypatch.setattr(measure, "perf_counter_ns", clock)
    result = compare(
        {"a": work([9000, 9000, 10, 20, 30, 40, 50]), "b": work([9000, 9000, 1, 2, 3, 0, 5])},
        rounds=5,
        warmup=2,
    )
    assert result == Comparison({"a": (10, 20, 30, 40, 50), "b": (1, 2, 3, 1, 5)})
    assert result.median == {"a": 30e-9, "b": 2e-9}
    assert repr(result) == "a 3e-05 ms, b 2e-06 ms"


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was ten times slower from the third round on; the pairs do not notice.
    slow, fast = (40, 44, 420, 400, 410), (10, 11, 105, 100, 100)
    assert Comparison({"slow": slow, "fast": fast}).ratio("fast", "slow") == Ratio(4, 4)
    assert Comparison({"slow": slow, "fast": fast}).ratio("slow", "fast").median == 0.25


@pytest.mark.parametrize(
    ("rounds", "place"), [(5, 1), (7, 1), (8, 2), (10, 2), (11, 3), (13, 4), (15, 4), (20, 6)]
)
def test_the_bound_is_that_of_the_sign_test(rounds: int, place: int) -> None:
    """The places of the one-sided sign test at 5 %, as tables of it have them."""
    times = {"slow": tuple(range(1, rounds + 1)), "fast": (1,) * rounds}
    assert Comparison(times).ratio("fast", "slow").at_least == place


def disturbed(rounds: int) -> Comparison:
    """Fifteen rounds of 30 times; in some of them the fast one was held up."""
    return Comparison({"slow": (300,) * 15, "fast": (300,) * rounds + (10,) * (15 - rounds)})


def test_a_few_disturbed_rounds_do_not_change_the_verdict() -> None:
    for rounds in range(4):
        assert disturbed(rounds).verdict("fast", at_least=20) == f"fast wins, at least 20{TIMES}"


def test_many_disturbed_rounds_do() -> None:
    with pytest.raises(AssertionError) as error:
        disturbed(4).verdict("fast", at_least=20)
    said = f"fast does not beat slow by 20{TIMES}: the median of 15 rounds is 30{TIMES}, "
    assert str(error.value).startswith(said + f"and only 1{TIMES} is certain (slow 0.0003 ms")


def test_the_winner_beats_each_of_the_others() -> None:
    times = {"a": (100,) * 5, "b": (10,) * 5, "c": (9,) * 5}
    assert Comparison(times).verdict("c") == "c wins"
    with pytest.raises(AssertionError, match="c does not beat b by 5"):
        Comparison(times).verdict("c", at_least=5)
    with pytest.raises(AssertionError, match="b does not beat c by 1"):
        Comparison(times).verdict("b")


def test_a_real_difference_is_seen() -> None:
    result = compare({"much": spin(50_000), "little": spin(500)})
    assert result.verdict("little", at_least=10) == f"little wins, at least 10{TIMES}"


def test_equals_do_not_win() -> None:
    equals = compare({"one": spin(2000), "other": spin(2000)})
    for name in ("one", "other"):
        with pytest.raises(AssertionError, match="is certain"):
            equals.verdict(name, at_least=2)


def test_garbage_is_collected_again_afterwards() -> None:
    seen = []
    compare({"a": lambda: seen.append(gc.isenabled()), "b": nothing}, rounds=5)
    assert not any(seen)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        compare({"a": nothing, "b": lambda: 1 / 0})
    assert gc.isenabled()


@pytest.mark.parametrize("alternatives", [{}, {"a": nothing}])
def test_one_alternative_is_no_comparison(alternatives: dict[str, Callable[[], None]]) -> None:
    with pytest.raises(ValueError, match="two alternatives"):
        compare(alternatives)


def test_four_rounds_are_too_few() -> None:
    with pytest.raises(ValueError, match="five rounds"):
        compare({"a": nothing, "b": nothing}, rounds=4)


def test_the_picture_is_not_one_that_tests_compare() -> None:
    result = Comparison({"slow": (3_000_000,) * 5, "fast": (20_000,) * 5})
    picture = result.picture("Times", "fast takes less time")
    assert picture.png
    assert picture.alt == "fast takes less time"
    texts = re.findall(r"<text[^>]*>([^<]+)<", picture.svg)
    assert {"slow", "3.0", "fast", "0.02"} <= set(texts)
    assert "milliseconds, median of 5 rounds" in texts
