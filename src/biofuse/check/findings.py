"""What a check finds, and how much of it is kept."""

from dataclasses import asdict, dataclass, field
from typing import Any

# Findings of one kind that are kept of an array; the others are counted.
_KEPT = 20
# Keys that a line names.
_NAMED = 5

KINDS = ("missing", "unreadable", "undecodable", "length", "range", "shape", "names")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a store, or worth a note.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    array : str
        Its path in the store; empty for the store itself.
    key : str or None
        Of the chunk.
    text : str
        What it is, in words.
    note : bool
        Whether it may be right.
    count : int
        Of how many chunks it tells.
    keys : tuple of str
        Of these, if they are several; the first ones of many.
    """

    kind: str
    array: str
    key: str | None
    text: str
    note: bool = False
    count: int = 1
    keys: tuple[str, ...] = ()

    def line(self) -> str:
        """The finding in a line."""
        if self.kind != "missing":
            return f"{self.key or self.array or 'the store'} {self.text}"
        named = ", ".join(self.keys[:_NAMED])
        more = self.count - len(self.keys[:_NAMED])
        return f"{self.text}: {named}" + (f" and {more:,} more" if more else "")


@dataclass
class Report:
    """All that a check found.

    Attributes
    ----------
    arrays, chunks : int
        How many were looked at.
    bytes_read : int
        Stored bytes of these.
    counts : dict of (str, str, bool) to int
        Findings by array, kind and whether they are notes.
    """

    arrays: int = 0
    chunks: int = 0
    bytes_read: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[tuple[str, str, bool], int] = field(default_factory=dict)
    _lines: dict[tuple[str, str, bool], int] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Add a finding; of many alike the first ones are kept."""
        kind = (finding.array, finding.kind, finding.note)
        self.counts[kind] = self.counts.get(kind, 0) + finding.count
        self._lines[kind] = self._lines.get(kind, 0) + 1
        if self._lines[kind] <= _KEPT:
            self.findings.append(finding)

    @property
    def errors(self) -> int:
        """How many findings are no notes."""
        return sum(count for (_, _, note), count in self.counts.items() if not note)

    def left_out(self) -> list[tuple[str, str, bool, int]]:
        """Array, kind, whether they are notes, and number of the findings that are not kept."""
        found = self._lines.items()
        return [(*kind, count - _KEPT) for kind, count in found if count > _KEPT]

    def to_json(self) -> dict[str, Any]:
        """As `biofuse check --json` prints it."""
        left_out = self.left_out()
        return {
            "ok": self.errors == 0,
            "arrays": self.arrays,
            "chunks": self.chunks,
            "bytes": self.bytes_read,
            "errors": self.errors,
            "notes": sum(self.counts.values()) - self.errors,
            "findings": [asdict(finding) for finding in self.findings],
            "left_out": [
                {"array": array, "kind": kind, "note": note, "count": count}
                for array, kind, note, count in left_out
            ],
        }
