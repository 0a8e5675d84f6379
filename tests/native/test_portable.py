"""The kernels' other builds: without the instructions that are chosen at run time, and the
other compiler's. All must give the same."""

import numpy as np
import pytest

from . import build, frames
from .geometry import (
    Gather,
    Geometry,
    bases,
    expected_result,
    make_base,
    random_alleles,
    run_harness,
)

pytestmark = pytest.mark.slow

BUILDS = {
    "gcc": ("gcc", "-O3"),
    "gcc portable": ("gcc", "-O3", "-DBF_NO_DISPATCH"),
    "gcc checked": ("gcc", *build.SANITIZE, "-fsanitize=undefined"),
    "clang": ("clang", "-O3"),
    "clang portable": ("clang", "-O3", "-DBF_NO_DISPATCH"),
}


@pytest.fixture(scope="session", params=BUILDS)
def harness(request):
    compiler, *flags = BUILDS[request.param]
    return build.compile_program(compiler, ["harness.c", *build.CASE], *flags)


def test_every_kernel_is_built():
    """The build's list is that of these tests."""
    assert build.kernel_sources() == sorted(build.NATIVE.glob("*.c"))


def gather_bases():
    """Rows of every length around the words of a mask, alleles of every kind."""
    made = []
    for samples in [*range(1, 20), 21, 22, 31, 32, 33, 42, 43, 63, 64, 65, 96, 127, 128, 500]:
        for ploidy in (1, 2):
            values = (0, 1, -1, -2, 5) if samples % 2 else (0, 1, -1, -2)
            array = random_alleles((4, samples, ploidy), values, seed=samples)
            geometry = Geometry(4, samples, ploidy, samples, 2, samples // 2, 0, 3)
            made.append(make_base(f"{samples} x {ploidy}", geometry, array, blocksize=128))
    return made


def test_every_build_gathers_the_same(harness, tmp_path):
    cases = [base.gathered(gather) for base in [*bases(), *gather_bases()] for gather in Gather]
    results = run_harness(harness, [(case.geometry, case.frame) for case in cases], tmp_path)
    for case, result in zip(cases, results, strict=True):
        assert result == expected_result(case), case.name


def test_the_portable_build_has_no_pext():
    """Else the comparison says nothing."""
    compiler, *flags = BUILDS["gcc portable"]
    plain = build.compile_program(compiler, ["harness.c", *build.CASE], *flags)
    code = plain.read_bytes()
    assert b"__cpu_model" not in code and b"__cpu_indicator" not in code


def test_gather_bases_have_wide_rows():
    assert any(np.any(base.array > 1) for base in gather_bases())
    assert any(frames.parts(base.frame).num_blocks > 1 for base in gather_bases())
