"""What went through a proxy: each request with its times, and what follows from them."""

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import unquote

# Of requests in an assertion's text.
_SHOWN = 100


@dataclass
class Request:
    """A request and what came of it.

    Attributes
    ----------
    begun, ended : float
        Monotonic seconds: when the head had come whole, and when the answer's last byte was
        sent or the connection was given up. `ended` is 0 while it is under way.
    path, query : str
        As text, without the escapes of URLs.
    range, if_match : str or None
        These headers, as they came.
    status : int or None
        What was answered; None if nothing was.
    size : int
        Bytes of the answer's body that were sent.
    fault : str or None
        The fault that was made of it.
    """

    begun: float
    method: str
    path: str
    query: str = ""
    range: str | None = None
    if_match: str | None = None
    ended: float = 0.0
    status: int | None = None
    size: int = 0
    fault: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether it is for a list of objects, of S3."""
        return "list-type" in self.query

    def __str__(self) -> str:
        part = f" {self.range}" if self.range else ""
        query = f"?{self.query}" if self.query else ""
        return f"{self.method} {self.path}{query}{part} -> {self.fault or self.status}"


class Traffic:
    """Requests in the order in which they began."""

    def __init__(self, requests: Iterable[Request] = ()):
        self.requests = list(requests)

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self.requests))

    def __str__(self) -> str:
        lines = [str(request) for request in self]
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        return "\n".join([*lines[:_SHOWN], *more])

    def of(
        self, path: str = "*", method: str | None = None, status: int | None = None
    ) -> "Traffic":
        """Those for paths like this (of a shell's pattern), and of this method and status."""
        return Traffic(
            request
            for request in self
            if fnmatchcase(request.path, path)
            and (method is None or request.method == method)
            and (status is None or request.status == status)
        )

    def sizes(self) -> int:
        """Bytes of all bodies that were sent."""
        return sum(request.size for request in self)

    def paths(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(request.path for request in self)

    def most_at_once(self) -> int:
        """The most that were under way at a time."""
        events = []
        for request in self:
            events.append((request.begun, 1))
            events.append((request.ended or float("inf"), -1))
        most = now = 0
        # What ends at the moment at which another begins ends first.
        for _, step in sorted(events):
            now += step
            most = max(most, now)
        return most

    def rounds(self) -> int:
        """The longest chain of requests of which each began after the one before had ended.

        That is how many round trips came one after another, if each takes long enough for
        those that are sent at once to overlap: so with a delay, not without.
        """
        ends: list[float] = []
        deepest: list[int] = []
        done = sorted((r for r in self if r.ended), key=lambda request: request.ended)
        depths: dict[int, int] = {}

        def depth(request: Request) -> int:
            # Of all that had ended when it began, the deepest.
            known = bisect.bisect_right(ends, request.begun)
            return 1 + (deepest[known - 1] if known else 0)

        # Whatever ended before a request began ended before it ended, so is known by then.
        for request in done:
            depths[id(request)] = depth(request)
            ends.append(request.ended)
            deepest.append(max(depths[id(request)], deepest[-1] if deepest else 0))
        under_way = (depth(request) for request in self if not request.ended)
        return max([*depths.values(), *under_way], default=0)


def decoded(target: str) -> tuple[str, str]:
    """Path and query of a request's target."""
    path, _, query = target.partition("?")
    return unquote(path), unquote(query)
