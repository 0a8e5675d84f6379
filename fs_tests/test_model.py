"""Random operations while everything fails at random; see `fs_tests/model`."""

import json

import pytest

from fs_tests.model.inputs import Inputs, make_spare
from fs_tests.model.run import PLACES, Settings, run

# Seconds of each place, in the short form and in the long one, and the short form's deadline: a
# third of its time is left for faults.
SHORT = {"local": 8, "zip": 7, "s3": 9}
LONG = 85
DEADLINE = 2.5


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
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
    place, inputs, folder, seed, is_long, record_property
):
    settings = Settings(seed, place, LONG)
    if not is_long:
        settings = Settings(seed, place, SHORT[place], timeout=DEADLINE)
    results = run(inputs, settings, folder, print)
    record_property("model", json.dumps(results.to_json()))
    assert results.differences == []
    assert results.operations["api"].total() > 1000
    assert results.operations["mount"].total() > 1000


@pytest.mark.parametrize(
    ("plant", "faults", "said"),
    [
        ("oracle", (), "wrong bytes"),
        ("chunk", (), "wrong bytes"),
        ("silence", ("killed-often",), "this was said without a fault"),
    ],
)
def test_the_model_finds_what_was_planted(plant, faults, said, inputs, folder, seed):
    """One other bit; a chunk that is right by itself; a fault that the rules are not told of."""
    settings = Settings(seed, "local", 5, faults=faults, plant=plant, timeout=DEADLINE)
    results = run(inputs, settings, folder, print)
    assert any(said in text for text in results.differences), results.differences
