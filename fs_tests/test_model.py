"""Random operations while everything fails at random; see `fs_tests/model`."""

import json

import pytest

from fs_tests.model.inputs import Inputs, make_spare
from fs_tests.model.run import PLACES, Settings, run
from fs_tests.model.squeeze import is_possible

# Seconds of each place, in the short form and in the long one, and the short form's deadline: a
# third of its time is left for faults.
SHORT = {"local": 7, "zip": 7, "s3": 7}
LONG = 85
DEADLINE, UNJUDGED = 2.5, 50.0
FIGURES = {
    "seconds": "s",
    "operations": "operations",
    "without_bursts": "of them other than bursts of small reads",
    "requests_answered_by_the_worker": "answered by the worker",
    "faults": "faults",
    "worker_deaths": "deaths of workers",
}
# What is planted, faults beside it, and what is said of it: the first alone in the short form.
PLANTS = [
    ("chunk", (), "wrong bytes"),
    ("oracle", (), "wrong bytes"),
    ("silence", ("killed-often",), "this was said without a fault"),
    ("left", (), "something is left"),
    ("short", (), "short  where no fault explains one"),
    ("late", (), "slow after 9"),
    ("errno", (), "error EPERM where no fault explains one"),
    ("hang", (), "hang after"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "plant" in metafunc.fixturenames:
        is_short = metafunc.config.getoption("--short")
        metafunc.parametrize(("plant", "faults", "said"), PLANTS[:1] if is_short else PLANTS)
    if "where" in metafunc.fixturenames:
        is_short = metafunc.config.getoption("--short")
        metafunc.parametrize("where", list(SHORT) if is_short else PLACES)


@pytest.fixture(scope="module")
def inputs(store, oracle, s3, web, tmp_path_factory) -> Inputs:
    return Inputs(store, make_spare(tmp_path_factory.mktemp("spare")), oracle, s3, web)


@pytest.fixture
def folder(tmp_path_factory):
    """Short, as sockets' names are."""
    return tmp_path_factory.mktemp("m")


def test_every_answer_is_right_or_an_error_that_a_fault_explains(
    where, inputs, folder, seed, is_long, record_property, tell
):
    settings = Settings(seed, where, LONG)
    if not is_long:
        # How soon answers come is judged in the long form alone.
        settings = Settings(seed, where, SHORT[where], timeout=DEADLINE, slack=UNJUDGED)
    results = run(inputs, settings, folder, print)
    found = results.to_json()
    record_property("model", json.dumps(found))
    tell(f"model: {where} " + ", ".join(f"{found[key]:,} {name}" for key, name in FIGURES.items()))
    tell(f"model: {where} {dict(sorted(results.faults.items()))}")
    assert results.differences == []
    assert results.faults.total() > 0
    impossible = set() if is_possible() else {"squeezed"}
    often = {kind for kind, count in results.planned.items() if count >= 3}
    assert often - set(results.faults) - impossible == set()
    assert results.operations["api"].total() > 1000
    assert results.operations["mount"].total() > 1000


def test_the_model_finds_what_was_planted(plant, faults, said, inputs, folder, seed):
    """One other bit; a chunk that is right by itself; a fault that the rules are not told of.

    And a file that is left behind, and a face that now and then gives a byte too few, is late,
    gives another error, or does not answer.
    """
    settings = Settings(seed, "local", 5, faults=faults, plant=plant, timeout=DEADLINE)
    results = run(inputs, settings, folder, print)
    assert any(said in text for text in results.differences), results.differences
