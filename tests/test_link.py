"""What is found out of the way to a store."""

import pytest

from biofuse.stores.link import Link


def link_after(*requests):
    """A link by which objects came: seconds to the answer, seconds to the end, and bytes."""
    now = 0.0
    link = Link(clock=lambda: now)
    for waited, received, size in requests:
        began = link.began()
        now += waited
        answered = link.answered(began)
        now += received
        link.ended(began, size, answered)
    return link


def test_an_answer_that_is_noticed_late():
    """What has waited in a buffer did not come in no time."""
    link = link_after((0.3, 1e-5, None), (0.9, 1e-5, 60_000))
    assert link.bandwidth == pytest.approx(60_000 / 0.6, rel=1e-3)


def test_an_answer_that_comes_slowly():
    link = link_after((0.3, 0.1, 60_000))
    assert link.bandwidth == pytest.approx(60_000 / 0.1)
    assert link.bytes_per_delay == pytest.approx(60_000 * 3, abs=1)


def test_an_answer_that_comes_at_once():
    """When it began and ended is not known so well."""
    assert link_after((0.3, 1e-4, 60_000)).bytes_per_delay <= 10 * 60_000
