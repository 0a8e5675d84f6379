"""A cache bounded in bytes."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from biofuse.genotypes.cache import ByteCache

KEYS = st.integers(0, 7)
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.integers(0, 60)),
    st.tuples(st.just("get"), KEYS, st.just(0)),
    st.tuples(st.just("drop"), KEYS, st.just(0)),
)


@given(st.lists(STEPS, max_size=80), st.integers(0, 100))
def test_against_a_model(steps, limit):
    """The model is a list of (key, value, size), the most recently used last."""
    cache = ByteCache(limit)
    model: list[tuple[int, int, int]] = []
    for number, (step, key, size) in enumerate(steps):
        found = [entry for entry in model if entry[0] == key]
        if step == "get":
            assert cache.get(key) == (found[0][1] if found else None)
            model = [e for e in model if e[0] != key] + found
        elif step == "drop":
            cache.drop(key)
            model = [e for e in model if e[0] != key]
        else:
            cache.put(key, number, size)
            model = [e for e in model if e[0] != key]
            if size <= limit:
                while sum(e[2] for e in model) + size > limit:
                    model.pop(0)
                model.append((key, number, size))
        assert cache.used == sum(e[2] for e in model) <= limit
    for key, value, _ in model:
        assert cache.get(key) == value


def test_several_threads():
    cache = ByteCache(1000)

    def work(seed):
        for n in range(3000):
            key = (seed * 31 + n * 17) % 50
            value = cache.get(key)
            assert value is None or value == key
            cache.put(key, key, key + 1)
            if n % 5 == 0:
                cache.drop(key)
            assert cache.used <= 1000

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    left = [key for key in range(50) if cache.get(key) is not None]
    assert cache.used == sum(key + 1 for key in left)
