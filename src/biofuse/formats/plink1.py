"""PLINK 1 binary files: `.bed`, `.bim` and `.fam`.

Specification: https://www.cog-genomics.org/plink/1.9/formats. A1 is ALT and A2 is REF.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from biofuse.errors import BiofuseError
from biofuse.formats.base import (
    File,
    Findings,
    Layout,
    SampleTable,
    Sidecar,
    Subject,
    Variants,
    option,
)
from biofuse.formats.positions import check_positions
from biofuse.formats.text import SampleText, VariantText

if TYPE_CHECKING:
    from biofuse.native import Texts

NAME = "plink"
TITLE = "PLINK 1"
MULTIALLELIC = False
FILES = (File("bed", ".bed"), File("bim", ".bim", "no_bim"), File("fam", ".fam", "no_fam"))

_MAGIC = b"\x6c\x1b\x01"
# Above it, plink 1.9 and plink2 call a coordinate invalid.
_MAX_POSITION = 2**31 - 2


@dataclass(frozen=True)
class Options:
    """Options of the PLINK 1 files."""

    no_bim: bool = option(False, "Leave out the .bim file.")
    no_fam: bool = option(False, "Leave out the .fam file.")


def needs_sites(options: Options) -> bool:
    """Whether files are made from all fields of sites: never."""
    return False


def layout(subject: Subject, options: Options) -> Layout:
    """Layout of the `.bed`: three bytes, then ceil(num_samples / 4) a variant.

    Raises
    ------
    BiofuseError
        If the store has no calls, or its ploidy is above 2.
    """
    subject.need_genotypes()
    if subject.ploidy > 2:
        raise BiofuseError(
            f"the store's genotypes have room for {subject.ploidy} alleles a call; "
            "PLINK 1 files hold haploid and diploid calls only"
        )
    return Layout(lambda count: _MAGIC, (len(subject.samples) + 3) // 4)


def record_encoder(params: dict[str, Any], offsets, heads):
    """The kernel that makes `.bed` records."""
    from biofuse import native

    return native.Plink1Encoder()


def sidecars(options: Options) -> list[Sidecar]:
    """Writers of the `.bim` and `.fam`, but for those that `no_bim`, `no_fam` leave out."""
    writers: list[Sidecar] = []
    if not options.no_bim:
        writers.append(BimWriter())
    if not options.no_fam:
        writers.append(SampleText(".fam", "\t", _fam, "--no-fam"))
    return writers


def _fam(ids: "Texts", table: SampleTable) -> "tuple[str, Sequence[Texts]]":
    """Columns of the `.fam`, the last of which is the first phenotype, if it is of numbers."""
    phenotype = ids.blank()
    if table.phenotypes and table.phenotypes[0].kind != "categorical":
        phenotype = table.phenotypes[0].values
    known = (table.fid, ids, table.pat, table.mat, table.sex)
    return "", [*(column.or_else("0") for column in known), phenotype.or_else("-9")]


def notices(options: Options, findings: Findings) -> list[str]:
    """None: every program reads every `.bed`."""
    return []


class BimWriter(VariantText):
    """`.bim`: chromosome, ID, centimorgans, position, ALT, REF; `.` for what is missing."""

    suffix = ".bim"

    def lines(self, variants: Variants) -> memoryview:
        from biofuse import native

        check_positions(variants, _MAX_POSITION, "which no plink takes")
        identifier, alt = variants.id.or_else("."), variants.alt.or_else(".")
        try:
            return native.bim_lines(
                variants.chrom, identifier, variants.position, alt, variants.ref, variants.cm
            )
        except native.NativeError:
            _refuse(variants)
            raise


def _refuse(variants: Variants) -> None:
    """Raise `BiofuseError` with the first site that is no line of six columns."""
    for i in range(len(variants)):
        fields = variants.chrom[i], variants.id[i], variants.ref[i], variants.alt[i]
        contig, identifier, ref, alt = fields
        columns = (contig, identifier or ".", alt or ".", ref)
        if any(column.split() != [column] for column in columns):
            raise BiofuseError(
                f"the site {contig!r}:{variants.position[i]} does not fit a .bim file: "
                f"its contig, ID, REF or ALT is empty or contains white space {fields!r}; leave "
                "it out with -e, or rename it"
            )
