"""Messages between serve and the worker."""

from hypothesis import given
from hypothesis import strategies as st

from biofuse.protocol import MAX_MESSAGE, CacheUse, Reply, Request

U64 = st.integers(0, 2**64 - 1)


@given(U64, st.integers(0, 2**32 - 1), U64, U64, U64, U64)
def test_a_request_comes_back(number, file, first, last, offset, size):
    request = Request(number, file, first, last, offset, size)
    assert Request.unpack(request.pack()) == request
    assert len(request.pack()) <= MAX_MESSAGE


@given(U64, st.integers(0, 200), U64, st.text(max_size=300), st.builds(CacheUse, *[U64] * 5))
def test_a_reply_comes_back(number, errno, size, message, use):
    reply = Reply(number, errno, size, message, use)
    assert len(reply.pack()) <= MAX_MESSAGE
    assert Reply.unpack(reply.pack()) == reply


@given(st.text("aé漢🧬", min_size=1000, max_size=5000))
def test_a_long_message_is_cut(message):
    data = Reply(1, 5, 0, message).pack()
    assert len(data) <= MAX_MESSAGE
    seen = Reply.unpack(data)
    assert (seen.id, seen.errno) == (1, 5)
    assert message.startswith(seen.message.rstrip("\ufffd"))
