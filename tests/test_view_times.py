"""When a view's files say they were modified: what make and its like decide by."""

import os
import time

import pytest
from support.stores import make_store, random_genotypes

SUFFIXES = (
    *(".bed", ".bim", ".fam"),
    *(".bgen", ".bgen.bgi", ".sample"),
    *(".pgen", ".pvar", ".psam"),
)


@pytest.fixture
def modified(biofuse, tmp_path):
    """The one time that all files of a view have, in nanoseconds; mounted at one place."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(30, 12))
    directory = biofuse.new_directory()

    def of(*options) -> int:
        formats = ("--format", "plink", "--format", "bgen", "--format", "plink2")
        with biofuse.mount(store, *formats, *options, directory=directory) as mount:
            times = {os.stat(f"{mount.stem}{suffix}").st_mtime_ns for suffix in SUFFIXES}
        assert len(times) == 1
        return times.pop()

    of.store = store
    return of


def test_a_whole_store_has_its_own_time(modified):
    own = (modified.store / "call_genotype").stat().st_mtime_ns
    assert modified() == own
    assert modified("--no-cache") == own
    assert modified("--memory", "32MiB") == own


def test_a_store_of_before_1970(modified):
    for path in (modified.store, *modified.store.rglob("*")):
        os.utime(path, ns=(-(10**18), -(10**18) + 7))
    assert modified() == -(10**18) + 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["-s", "S0001,S0003"],
        ["-r", "1"],
        ["--phased"],
        ["--contig-names", "store"],
        ["--variant-id-template", "@:#"],
    ],
)
def test_another_view_is_newer_and_keeps_its_time(options, modified):
    modified()
    before = time.time_ns()
    first = modified(*options)
    assert before < first < time.time_ns()
    assert modified(*options) == first
    other = time.time_ns()
    assert modified("-s", "S0002") > other
    assert modified(*options) == first
