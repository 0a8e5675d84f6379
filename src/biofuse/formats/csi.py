"""`.bcf.csi`, the index of where sites of a region are.

Specification: https://samtools.github.io/hts-specs/CSIv1.pdf.
"""

from typing import TYPE_CHECKING

from biofuse.bgzf import compressed
from biofuse.errors import BiofuseError
from biofuse.formats.base import MainFile, Subject, Variants

if TYPE_CHECKING:
    from biofuse.native import CsiIndex


class CsiWriter:
    """Writes the `.bcf.csi`."""

    suffix = ".bcf.csi"
    of_samples = False

    def __init__(self) -> None:
        self._index: CsiIndex | None = None
        self._path = ""

    def begin(self, path: str, subject: Subject) -> None:
        """Take note of where the file is to be."""
        from biofuse import native

        self._path = path
        self._index = native.CsiIndex(len(subject.read_sites().contigs))

    def write(self, variants: Variants, offsets: memoryview | None) -> None:
        """Add sites.

        Raises
        ------
        BiofuseError
            If they are not in the order of contigs' and positions.
        """
        from biofuse import native

        assert self._index is not None and offsets is not None and variants.sites is not None
        columns = variants.sites()
        try:
            self._index.add(columns.contig, variants.position, columns.length, offsets)
        except native.NativeError as error:
            i = error.row
            raise BiofuseError(
                f"the site {variants.chrom[i]}:{variants.position[i]} comes behind sites that "
                "should follow it, so that there can be no .bcf.csi: --no-csi does without it"
            ) from error

    def rest(self) -> None:
        """Nothing: no file is open."""

    def finish(self, main: MainFile) -> None:
        """Write the file."""
        assert self._index is not None
        with open(self._path, "wb") as out:
            out.write(compressed(self._index.to_bytes()))

    def abandon(self) -> None:
        """Nothing: there is no file yet."""
