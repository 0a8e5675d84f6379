"""Random operations while everything fails at random; see `fs_tests/model`."""

import json
import os

import pytest

from fs_tests.model.figures import kinds
from fs_tests.model.inputs import Inputs, make_spare
from fs_tests.model.results import Results
from fs_tests.model.run import run
from fs_tests.model.schedule import STORE_FAULTS
from fs_tests.model.settings import PLACES, Settings, kinds_of
from fs_tests.model.squeeze import is_possible
from fs_tests.model.views import VIEWS
from fs_tests.model.workers import DROP_CACHES

# Seconds of each place in the short form, whose deadline leaves a third of its time for faults; the
# long form is a round in each.
SHORT = {"local": 7, "zip": 7, "s3": 7}
DEADLINE, UNJUDGED = 2.5, 50.0
# Of the long form, in all places.
OPERATIONS = 10_000_000
# Of each place otherwise.
FEW = 10_000
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


@pytest.fixture(scope="module")
def came() -> dict[str, Results]:
    """By place, what came of the runs of this module."""
    return {}


def impossible() -> set[str]:
    """Kinds of faults that cannot be done here."""
    found = set() if is_possible() else {"squeezed"}
    return found if os.access(DROP_CACHES, os.W_OK) else found | {"caches-dropped"}


def test_every_answer_is_right_or_an_error_that_a_fault_explains(
    where, inputs, folder, seed, is_long, came, record_property, tell
):
    settings = Settings(seed, where)
    if not is_long:
        # How soon answers come is judged in the long form alone.
        settings = Settings(seed, where, SHORT[where], timeout=DEADLINE, slack=UNJUDGED)
    results = came[where] = run(inputs, settings, folder, print)
    found = results.to_json()
    record_property("model", json.dumps(found))
    tell(f"model: {where} " + ", ".join(f"{found[key]:,} {name}" for key, name in FIGURES.items()))
    assert results.differences == []
    assert results.operations["api"].total() > 1000
    assert results.operations["mount"].total() > 1000
    if is_long:
        assert set(kinds_of(where)) - set(+results.faults) <= impossible()
        of_store = set(STORE_FAULTS[where])
        met = {view for view, faults in results.by_view.items() if of_store & set(+faults)}
        assert met == {view.name for view in VIEWS}
    else:
        assert results.faults.total() > 0
        often = {kind for kind, count in results.planned.items() if count >= 3}
        assert often - set(results.faults) <= impossible()


def test_how_much_the_long_form_is(is_long, came, tell):
    """Of all places; less where some were left out, and in the short form."""
    text = kinds([results.to_json() for results in came.values()])
    tell("\n".join(["model: faults", text]))
    least = OPERATIONS if is_long and set(came) == set(PLACES) else FEW * len(came)
    done = sum(results.total for results in came.values())
    answered = sum(results.requests for results in came.values())
    tell(f"model: all {done:,} operations, {answered:,} answered by the worker")
    assert done >= least


def test_the_model_finds_what_was_planted(plant, faults, said, inputs, folder, seed):
    """One other bit; a chunk that is right by itself; a fault that the rules are not told of.

    And a file that is left behind, and a face that now and then gives a byte too few, is late,
    gives another error, or does not answer.
    """
    settings = Settings(seed, "local", 5, faults=faults, plant=plant, timeout=DEADLINE)
    results = run(inputs, settings, folder, print)
    assert any(said in text for text in results.differences), results.differences
