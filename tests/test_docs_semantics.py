"""Sentences of docs/semantics.md, and claims of docs/security.md, have tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "semantics.md").read_text()
REFERENCE = re.compile(r"`(test_\w+)::(test_\w+)`")


def items() -> list[str]:
    _, _, first, *rest = PAGE.splitlines()
    return [first, *(line.removeprefix("- ") for line in rest if line.startswith("- "))]


def module(name: str) -> Path:
    [found] = [
        path
        for path in (ROOT / "tests" / f"{name}.py", ROOT / "fs_tests" / f"{name}.py")
        if path.exists()
    ]
    return found


def test_there_are_sentences():
    assert len(items()) > 50


@pytest.mark.parametrize("item", items(), ids=lambda item: item[:40])
def test_a_sentence(item):
    """It is one, and its tests are there."""
    text, _, references = item.partition(" [`")
    assert text.endswith(".")
    # No full stop but its own; one within a name or a number is no end.
    assert not re.search(r"\.\s+[A-Z`]", text)
    found = REFERENCE.findall(f"`{references}")
    assert found, "no test is named"
    for name, test in found:
        assert f"\ndef {test}(" in module(name).read_text(), f"{name} has no {test}"


def test_no_test_of_the_proof_is_forgotten():
    """What fs_tests prove of a mount's life is a sentence of the page."""
    named = set(REFERENCE.findall(PAGE))
    lives = re.findall(r"^def (test_\w+)\(", module("test_lifecycle").read_text(), re.MULTILINE)
    of_instruments = {
        *("test_signals_that_are_nothing_to_it", "test_signals_that_stop_it"),
        *("test_folders_that_are_in_use_stay", "test_signals_of_shells_where_there_is_none"),
        "test_the_dead_mount_of_another_user_is_left_alone",
        "test_descriptors_of_a_program_whose_mounts_are_killed",
    }
    assert {test for test in lives if ("test_lifecycle", test) not in named} <= of_instruments


def test_files_that_the_page_on_security_names():
    text = (ROOT / "docs" / "security.md").read_text()
    names = re.findall(r"`((?:fs_tests/)?test_\w+\.py)`", text)
    assert len(names) > 10
    for name in names:
        assert (ROOT / name).exists() or (ROOT / "tests" / name).exists(), name
