"""Which sample chunks a selection needs, and where its samples lie in them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from biofuse.genotypes.samples import plan_sample_chunks


@st.composite
def selections(draw):
    num_samples = draw(st.integers(1, 60))
    chunk = draw(st.integers(1, 70))
    kept = draw(
        st.none()
        | st.lists(st.integers(0, num_samples - 1), min_size=1, max_size=60)
        | st.permutations(range(num_samples))
        | st.just(list(range(num_samples)))
    )
    return num_samples, chunk, kept


@given(selections())
def test_reading_the_chunks_gives_the_samples(selection):
    num_samples, chunk, kept = selection
    plan = plan_sample_chunks(num_samples, chunk, kept)
    values = np.arange(num_samples) + 1000
    pieces = [values[c * chunk : (c + 1) * chunk] for c in plan.chunks]
    assert [len(piece) for piece in pieces] == list(plan.sizes)
    read = np.concatenate(pieces)
    seen = read if plan.index is None else read[np.asarray(plan.index)]
    assert list(seen) == list(values if kept is None else values[np.asarray(kept)])


@given(selections())
def test_no_chunk_is_read_in_vain(selection):
    num_samples, chunk, kept = selection
    plan = plan_sample_chunks(num_samples, chunk, kept)
    needed = {i // chunk for i in (range(num_samples) if kept is None else kept)}
    assert plan.chunks == sorted(needed)


@given(st.integers(1, 60), st.integers(1, 70), st.data())
def test_nothing_is_gathered_where_whole_chunks_are_kept(num_samples, chunk, data):
    chunks = range(-(-num_samples // chunk))
    some = sorted(data.draw(st.sets(st.sampled_from(chunks), min_size=1)))
    kept = [i for c in some for i in range(c * chunk, min((c + 1) * chunk, num_samples))]
    plan = plan_sample_chunks(num_samples, chunk, kept)
    assert plan.chunks == some
    assert plan.index is None
