"""What is found out of the way to a store."""

import pytest

from biofuse.stores.link import Link


def test_an_answer_that_is_noticed_late():
    """What has waited in a buffer did not come in no time."""
    now = 0.0
    link = Link(clock=lambda: now)
    for seconds, size in ((0.3, None), (0.9, 60_000)):
        began = link.began()
        now += seconds
        answered = link.answered(began)
        now += 1e-5
        link.ended(began, size, answered)
    assert link.bandwidth == pytest.approx(60_000 / 0.6, rel=1e-3)


def test_an_answer_that_comes_slowly():
    now = 0.0
    link = Link(clock=lambda: now)
    began = link.began()
    now += 0.3
    answered = link.answered(began)
    now += 0.1
    link.ended(began, 60_000, answered)
    assert link.bandwidth == pytest.approx(60_000 / 0.1)
    assert link.bytes_per_delay == pytest.approx(60_000 * 3, abs=1)


def test_an_answer_that_comes_at_once():
    """When it began and ended is not known so well."""
    now = 0.0
    link = Link(clock=lambda: now)
    began = link.began()
    now += 0.3
    answered = link.answered(began)
    now += 1e-4
    link.ended(began, 60_000, answered)
    assert link.bytes_per_delay <= 10 * 60_000
