"""How a worker's memory is divided."""

from dataclasses import dataclass

from biofuse.encode.choice import fast_arrays, is_fast
from biofuse.manifest import Plan

# Of the budget, what makes the bytes that the fast path does not make has this part: where it
# only steps in, and where it makes some file's bytes.
_LITTLE, _MUCH = 8, 2
_MIN_FAST = 1 << 20


@dataclass(frozen=True)
class Shares:
    """Bytes for each part of a worker.

    Attributes
    ----------
    fast : int
        Of the fast path: all that it keeps and takes.
    cache, scratch : int
        Of the encoder: what it keeps, and what calls take.
    kept : int
        Of records that are kept of what the encoder has made.
    """

    fast: int
    cache: int
    scratch: int
    kept: int


def share_budget(plan: Plan, memory: int) -> Shares:
    """Divide a budget by what a view's files need.

    Parameters
    ----------
    plan : Plan
    memory : int
        Bytes.
    """
    paths = [array.path for array in fast_arrays(plan)]
    files = [is_fast(streamed, paths) for streamed in plan.streamed]
    if all(files):
        slow = memory // _LITTLE
    elif any(files):
        slow = memory // _MUCH
    else:
        slow = max(0, memory - _MIN_FAST)
    kept = slow // 16
    scratch = slow // (4 if plan.decoded_chunk else 2)
    return Shares(memory - slow, slow - scratch - kept, scratch, kept)
