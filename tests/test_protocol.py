"""Messages between serve and the worker."""

from hypothesis import given
from hypothesis import strategies as st

from biofuse.protocol import MAX_MESSAGE, Failure, Request

U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)


@given(U32, U32, U64, U64, U32)
def test_a_request_comes_back(slot, file, unique, offset, size):
    request = Request(slot, file, unique, offset, size)
    assert Request.unpack(request.pack()) == request
    # As the worker's C code reads it.
    assert len(request.pack()) == 32


@given(U32, U32, U64, U64, st.text(max_size=300))
def test_a_failure_comes_back(slot, errno, unique, record, text):
    failure = Failure(slot, errno, unique, record, text)
    assert len(failure.pack()) <= MAX_MESSAGE
    assert Failure.unpack(failure.pack()) == failure


@given(st.text("aé漢🧬", min_size=1000, max_size=5000))
def test_a_long_text_is_cut(text):
    data = Failure(1, 5, 2, 3, text).pack()
    assert len(data) <= MAX_MESSAGE
    seen = Failure.unpack(data)
    assert seen[:4] == (1, 5, 2, 3)
    assert text.startswith(seen.text.rstrip("\ufffd"))


def test_text_that_is_not_unicode():
    assert Failure.unpack(Failure(1, 5, 2, 3, "x\udcff").pack()).text == "x\\udcff"
