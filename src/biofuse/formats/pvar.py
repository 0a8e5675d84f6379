"""The sites of a PLINK 2 fileset, `.pvar`, as plink2 writes them."""

from biofuse.errors import BiofuseError
from biofuse.formats.base import Variants
from biofuse.formats.positions import check_positions
from biofuse.formats.text import VariantText

# Above it, plink2 calls a coordinate invalid.
_MAX_POSITION = 2**31 - 2


class PvarWriter(VariantText):
    """`.pvar`: chromosome, position, ID, REF and ALT; `.` for what is missing."""

    suffix = ".pvar"

    def begin(self, path: str, samples) -> None:
        super().begin(path, samples)
        self._out.write(b"#CHROM\tPOS\tID\tREF\tALT\n")

    def lines(self, variants: Variants) -> memoryview:
        from biofuse import native

        check_positions(variants, _MAX_POSITION, "which no plink2 takes")
        identifier, alt = variants.id.or_else("."), variants.alt.or_else(".")
        try:
            return native.pvar_lines(
                variants.chrom, variants.position, identifier, variants.ref, alt
            )
        except native.NativeError:
            _refuse(variants)
            raise


def _refuse(variants: Variants) -> None:
    """Raise `BiofuseError` with the first site that is no line of a `.pvar`."""
    for i in range(len(variants)):
        fields = variants.chrom[i], variants.id[i], variants.ref[i], variants.alt[i]
        contig, identifier, ref, alt = fields
        columns = (contig, identifier or ".", ref, alt or ".")
        if any(column.split() != [column] for column in columns):
            raise BiofuseError(
                f"the site {contig!r}:{variants.position[i]} does not fit a .pvar file: "
                f"its contig, ID, REF or ALT is empty or contains white space {fields!r}; leave "
                "it out with -e, or rename it"
            )
