"""What makes a view's bytes, opened from a plan: by the worker, and in a program's own process."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from biofuse.encode.budget import Shares, share_budget
from biofuse.encode.choice import check_arrays
from biofuse.encode.encoder import Encoder
from biofuse.encode.fast import FastPath
from biofuse.encode.ranges import Answers
from biofuse.encode.tables import MappedTables
from biofuse.errors import BiofuseError
from biofuse.manifest import Plan
from biofuse.stores import FarStore, Location, Store, keep_chunks, open_store
from biofuse.stores.link import LinkUse

# Of a file that is read on in, for how many bytes planes are made ahead.
AHEAD = 2 << 20
# Threads that fetch from a store at some distance: they take no processor's time.
FAR_THREADS = 16


@dataclass(frozen=True)
class Opening:
    """A plan, its files, and how much its bytes may take to make.

    Attributes
    ----------
    plan : Plan
    location : Location
        The store's, with its secrets.
    tables : MappedTables
    memory : int
        Bytes.
    threads : int
        That make bytes.
    opened_ns : int
        When the view was opened, in nanoseconds since 1970.
    timeout : float
        Seconds in which a read must be answered.
    ahead_bytes : int or None
        Of a file, for how many bytes planes are made ahead of a run; None for `AHEAD`.
    chunk_cache : tuple of str and int, or None
        Directory that chunks of a store at some distance are kept in, and bytes.
    tell : callable or None
        Called with what was asked of a store at some distance, whenever that changes.
    """

    plan: Plan
    location: Location
    tables: MappedTables
    memory: int
    threads: int
    opened_ns: int
    timeout: float
    ahead_bytes: int | None = None
    chunk_cache: tuple[str, int] | None = None
    tell: Callable[[LinkUse], None] | None = None

    @property
    def is_far(self) -> bool:
        """Whether the store is at some distance."""
        return not self.location.is_local

    @property
    def all_threads(self) -> int:
        """Threads that requests are taken by."""
        return max(self.threads, FAR_THREADS) if self.is_far else self.threads

    @property
    def as_of_ns(self) -> int:
        """Nanoseconds since 1970: what was changed in the store later is not read."""
        planned = self.plan.as_of_ns
        return self.opened_ns if planned is None else min(self.opened_ns, planned)

    @cached_property
    def _shares(self) -> Shares:
        with _of_a_sound_plan():
            check_arrays(self.plan)
            return share_budget(self.plan, self.memory)

    def store(self) -> Store:
        """The store; one at some distance is the same for all who open it here.

        Raises
        ------
        BiofuseError
            If it cannot be opened.
        """
        pins = self.plan.pins
        store = open_store(
            self.location,
            self.as_of_ns,
            self.tables.views[pins] if pins else None,
            self.timeout,
        )
        if self.is_far:
            far = cast(FarStore, store)
            far.hold(self._shares.scratch // 2)
            if self.tell is not None:
                far.link.tell(self.tell)
            if self.chunk_cache:
                keep_chunks(store, self.location, *self.chunk_cache)
        return store

    def fast(self) -> FastPath:
        """What makes most bytes.

        Raises
        ------
        BiofuseError, OSError
            If the store cannot be opened.
        """
        store = self.store()
        with _of_a_sound_plan():
            return FastPath(
                self.plan,
                self.tables.views,
                store,
                self._shares.fast,
                self.threads,
                self.ahead_bytes or AHEAD,
                self.as_of_ns,
            )

    def answers(self) -> Answers:
        """What makes the others.

        Raises
        ------
        BiofuseError, OSError
            If the store cannot be opened.
        """
        if self.is_far:
            self.store()
        shares = self._shares
        with _of_a_sound_plan():
            encoder = Encoder(
                self.plan,
                self.tables.views,
                shares.cache,
                self.as_of_ns,
                shares.scratch,
                self.threads,
                self.location,
            )
            return Answers(self.plan, self.tables.views, encoder, shares.kept)


@contextlib.contextmanager
def _of_a_sound_plan() -> Iterator[None]:
    """Have whatever the plan's tables are not fit for told as their damage."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BiofuseError(
            "the plan is damaged, which --no-cache makes anew: its files, or the arrays that it "
            "tells of, are not what it says"
        ) from error
