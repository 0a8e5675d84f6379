"""`.bcf.csi`, the index of where sites of a region are.

Specification: https://samtools.github.io/hts-specs/CSIv1.pdf. Positions lie in bins of eight
sizes of which each is eight times the one below; a site is in the smallest one that it fits.
The bins are numbered once it is known how many levels there are.
"""

import struct
from dataclasses import dataclass, field

from biofuse.bgzf import compressed, virtual_offset
from biofuse.errors import BiofuseError
from biofuse.formats.base import MainFile, Subject, Variants

_MIN_SHIFT = 14
# Enough for contigs of 512 Mb; there are more where a site is beyond.
_LEVELS = 5
_NONE = -1


@dataclass
class _Contig:
    """What is known of a contig's sites: chunks by level from below and number of bin."""

    first: int = 0
    last: int = 0
    count: int = 0
    bins: dict[tuple[int, int], list[list[int]]] = field(default_factory=dict)
    # Where the first site begins that reaches into each of the smallest bins.
    windows: list[int] = field(default_factory=list)


class CsiWriter:
    """Writes the `.bcf.csi`."""

    suffix = ".bcf.csi"
    of_samples = False

    def __init__(self) -> None:
        self._contigs: dict[int, _Contig] = {}
        self._last = (_NONE, _NONE)
        self._levels = _LEVELS
        self._path = ""

    def begin(self, path: str, subject: Subject) -> None:
        """Take note of where the file is to be."""
        self._path = path

    def write(self, variants: Variants, offsets: memoryview | None) -> None:
        """Add sites.

        Raises
        ------
        BiofuseError
            If they are not in the order of contigs' and positions.
        """
        assert offsets is not None and variants.sites is not None
        columns, positions = variants.sites(), variants.position
        contigs, lengths = columns.contig, columns.length
        for i in range(len(positions)):
            contig, start = contigs[i], max(0, positions[i] - 1)
            if contig != self._last[0]:
                if contig in self._contigs:
                    self._refuse(variants, i)
                self._contigs[contig] = _Contig(first=virtual_offset(offsets[i]))
            elif start < self._last[1]:
                self._refuse(variants, i)
            self._last = (contig, start)
            self._add(self._contigs[contig], start, lengths[i], offsets[i], offsets[i + 1])

    def _refuse(self, variants: Variants, i: int) -> None:
        raise BiofuseError(
            f"the site {variants.chrom[i]}:{variants.position[i]} comes behind sites that should "
            "follow it, so that there can be no .bcf.csi: --no-csi does without it"
        )

    def _add(self, contig: _Contig, start: int, length: int, begin: int, end: int) -> None:
        last = start + max(length, 1) - 1
        level, first_window, last_window = 0, start >> _MIN_SHIFT, last >> _MIN_SHIFT
        while start >> (_MIN_SHIFT + 3 * level) != last >> (_MIN_SHIFT + 3 * level):
            level += 1
        while last >> (_MIN_SHIFT + 3 * self._levels):
            self._levels += 1
        first_byte, last_byte = virtual_offset(begin), virtual_offset(end)
        chunks = contig.bins.setdefault((level, start >> (_MIN_SHIFT + 3 * level)), [])
        # Chunks that meet in a block are one.
        if chunks and chunks[-1][1] >> 16 >= first_byte >> 16:
            chunks[-1][1] = last_byte
        else:
            chunks.append([first_byte, last_byte])
        # Sites before this one reach into all windows from its first one to the last there is.
        windows = contig.windows
        windows.extend([_NONE] * (first_window - len(windows)))
        windows.extend([first_byte] * (last_window + 1 - len(windows)))
        contig.last = last_byte
        contig.count += 1

    def finish(self, main: MainFile) -> None:
        """Write the file."""
        levels = self._levels
        parts = [struct.pack("<4siii", b"CSI\1", _MIN_SHIFT, levels, 0)]
        count = max(self._contigs, default=-1) + 1
        parts.append(struct.pack("<i", count))
        for number in range(count):
            contig = self._contigs.get(number)
            parts += [struct.pack("<i", 0)] if contig is None else _contig_parts(contig, levels)
        parts.append(struct.pack("<Q", 0))
        with open(self._path, "wb") as out:
            out.write(compressed(b"".join(parts)))

    def abandon(self) -> None:
        """Nothing: there is no file yet."""


def _first_bin(level: int) -> int:
    """Number of the first bin of a level, counted from the largest bin, which is 0."""
    return ((1 << 3 * level) - 1) // 7


def _contig_parts(contig: _Contig, levels: int) -> list[bytes]:
    """A contig as the file has it, with the bin that tells how many sites there are."""
    following = _NONE
    starts = contig.windows
    for i in range(len(starts) - 1, -1, -1):
        # Who looks for sites from an empty window on finds those of the next one.
        if starts[i] == _NONE:
            starts[i] = following
        following = starts[i]
    parts = [struct.pack("<i", len(contig.bins) + 1)]
    for (level, number), chunks in contig.bins.items():
        first = starts[number << 3 * level]
        parts.append(
            struct.pack("<IQi", _first_bin(levels - level) + number, max(0, first), len(chunks))
        )
        parts += [struct.pack("<QQ", *chunk) for chunk in chunks]
    about = _first_bin(levels + 1) + 1
    parts.append(struct.pack("<IQi", about, 0, 2))
    parts.append(struct.pack("<QQQQ", contig.first, contig.last, contig.count, 0))
    return parts
