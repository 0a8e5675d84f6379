"""The kernels over damaged frames, under sanitizers: an error or the right genotypes, never
a crash, a byte too many or other genotypes."""

from dataclasses import replace

import numpy as np
import pytest

from . import frames, mutations
from .geometry import (
    FRAME_ERRORS,
    Gather,
    Status,
    bases,
    expected_result,
    random_alleles,
    run_harness,
)

pytestmark = pytest.mark.slow

BASES = bases()


def test_the_bases_are_what_they_are_called():
    found = {base.name: frames.parts(base.frame) for base in BASES}
    assert found["one block"].num_blocks == 1
    assert found["odd last"].raw_size(1) % 8 != 0
    assert found["unordered"].offsets != sorted(found["unordered"].offsets)
    assert found["tiny"].memcpyed and found["memcpyed"].memcpyed
    assert 0 < len(found["raw blocks"].stored_raw()) < found["raw blocks"].num_blocks
    assert found["runs, odd last"].raw_size(1) % 8 != 0
    for base in BASES:
        assert frames.decode(base.frame) == base.array.tobytes()


def test_sound_frames(sanitized, tmp_path):
    cases = [base.gathered(gather) for base in BASES for gather in Gather]
    results = run_harness(sanitized, [(case.geometry, case.frame) for case in cases], tmp_path)
    for case, result in zip(cases, results, strict=True):
        assert result == expected_result(case), case.name


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_damaged_frames(sanitized, tmp_path, base):
    rng = np.random.default_rng(20240229)
    expected = expected_result(base)
    made = list(mutations.mutations(base.frame, rng, 20 if base.name.startswith("runs") else 250))
    results = run_harness(sanitized, [(base.geometry, m.frame) for m in made], tmp_path)
    noticed = 0
    for mutation, result in zip(made, results, strict=True):
        if result.status == Status.OK:
            assert mutation.silent or result == expected, mutation.what
        else:
            assert result.status in FRAME_ERRORS, mutation.what
            noticed += 1
    assert len(made) > noticed > len(made) // 4


def test_frames_of_another_shape(sanitized, tmp_path):
    """A sound frame in the place of another one."""
    made = [
        (replace(one.geometry, chunk_rows=rows, chunk_samples=samples), two.frame)
        for one in BASES
        for two in BASES
        for rows in (one.geometry.chunk_rows, one.geometry.chunk_rows + 1)
        for samples in (one.geometry.chunk_samples, one.geometry.chunk_samples + 1)
        if rows * samples * one.geometry.ploidy != two.array.size
    ]
    results = run_harness(sanitized, made, tmp_path)
    assert {result.status for result in results} == {Status.HEADER}


def test_any_ploidy(sanitized, tmp_path):
    """Rows are read for any; that records are not made of three alleles is the harness's."""
    geometry = replace(BASES[0].geometry, chunk_rows=6, chunk_samples=13, ploidy=3, last_row=5)
    frame = frames.encode(random_alleles((6, 13, 3), (0, 1, -1)))
    (result,) = run_harness(sanitized, [(geometry, frame)], tmp_path)
    assert result.status == Status.OK


def test_zero_length(sanitized, tmp_path):
    results = run_harness(sanitized, [(base.geometry, b"") for base in BASES], tmp_path)
    assert {result.status for result in results} == {Status.TRUNCATED}
