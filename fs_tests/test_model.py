"""Random operations while everything fails at random; see `fs_tests/model`."""

import json

import pytest

from fs_tests.model.inputs import Inputs, make_spare
from fs_tests.model.run import PLACES, Settings, run

# Seconds of each place, in the short form and in the long one, and the short form's deadline: a
# third of its time is left for faults.
SHORT = {"local": 6, "zip": 6, "s3": 6}
LONG = 85
DEADLINE = 2.5
FIGURES = {
    "seconds": "s",
    "operations": "operations",
    "requests_answered_by_the_worker": "answered by the worker",
    "faults": "faults",
    "worker_deaths": "deaths of workers",
}
# What is planted, faults beside it, and what is said of it: the first alone in the short form.
PLANTS = [
    ("chunk", (), "wrong bytes"),
    ("oracle", (), "wrong bytes"),
    ("silence", ("killed-often",), "this was said without a fault"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "plant" in metafunc.fixturenames:
        is_short = metafunc.config.getoption("--short")
        metafunc.parametrize(("plant", "faults", "said"), PLANTS[:1] if is_short else PLANTS)
    if "place" in metafunc.fixturenames:
        is_short = metafunc.config.getoption("--short")
        metafunc.parametrize("place", list(SHORT) if is_short else PLACES)


@pytest.fixture(scope="module")
def inputs(store, oracle, s3, web, tmp_path_factory) -> Inputs:
    return Inputs(store, make_spare(tmp_path_factory.mktemp("spare")), oracle, s3, web)


@pytest.fixture
def folder(tmp_path_factory):
    """Short, as sockets' names are."""
    return tmp_path_factory.mktemp("m")


def test_every_answer_is_right_or_an_error_that_a_fault_explains(
    place, inputs, folder, seed, is_long, record_property, tell
):
    settings = Settings(seed, place, LONG)
    if not is_long:
        settings = Settings(seed, place, SHORT[place], timeout=DEADLINE)
    results = run(inputs, settings, folder, print)
    found = results.to_json()
    record_property("model", json.dumps(found))
    tell(f"model: {place} " + ", ".join(f"{found[key]:,} {name}" for key, name in FIGURES.items()))
    assert results.differences == []
    assert results.operations["api"].total() > 1000
    assert results.operations["mount"].total() > 1000


def test_the_model_finds_what_was_planted(plant, faults, said, inputs, folder, seed):
    """One other bit; a chunk that is right by itself; a fault that the rules are not told of."""
    settings = Settings(seed, "local", 5, faults=faults, plant=plant, timeout=DEADLINE)
    results = run(inputs, settings, folder, print)
    assert any(said in text for text in results.differences), results.differences
