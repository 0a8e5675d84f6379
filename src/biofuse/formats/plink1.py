"""PLINK 1 binary files: `.bed`, `.bim` and `.fam`.

Specification: https://www.cog-genomics.org/plink/1.9/formats. A1 is ALT and A2 is REF;
chromosome names are those that plink2 --make-bed writes.
"""

from collections.abc import Sequence
from typing import IO, Any

from biofuse.errors import BiofuseError
from biofuse.formats.base import Layout, Variants
from biofuse.formats.chromosome import chromosome_name

NAME = "plink"
SUFFIX = ".bed"

_MAGIC = b"\x6c\x1b\x01"


def layout(num_samples: int, ploidy: int) -> Layout:
    """Layout of the `.bed`: three bytes, then ceil(num_samples / 4) a variant.

    Raises
    ------
    BiofuseError
        If the store's ploidy is above 2.
    """
    if ploidy > 2:
        raise BiofuseError(
            f"the store's genotypes have room for {ploidy} alleles a call; "
            "PLINK 1 files hold haploid and diploid calls only"
        )
    return Layout(_MAGIC, (num_samples + 3) // 4)


def record_encoder(params: dict[str, Any]):
    """The kernel that makes `.bed` records."""
    from biofuse import native

    return native.Plink1Encoder()


def sidecars(options: dict[str, Any]) -> list:
    """Writers of the `.bim` and `.fam`, but for those that `no_bim`, `no_fam` leave out."""
    writers: list = []
    if not options.get("no_bim"):
        writers.append(BimWriter())
    if not options.get("no_fam"):
        writers.append(FamWriter())
    return writers


class BimWriter:
    """`.bim`: chromosome, ID, 0, position, ALT, REF; `.` for what is missing."""

    suffix = ".bim"

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def write_samples(self, out: IO[bytes], samples: Sequence[str]) -> None:
        pass

    def write_variants(self, out: IO[bytes], variants: Variants) -> None:
        names = self._names
        for contig in set(variants.chrom) - names.keys():
            names[contig] = chromosome_name(contig)
        rows = zip(
            variants.chrom,
            variants.id,
            variants.position,
            variants.alt,
            variants.ref,
            strict=True,
        )
        lines = [
            f"{names[contig]}\t{identifier or '.'}\t0\t{position}\t{alt or '.'}\t{ref}\n"
            for contig, identifier, position, alt, ref in rows
        ]
        out.write("".join(lines).encode())


class FamWriter:
    """`.fam`: the sample ID as family and individual ID, then 0, 0, 0, -9."""

    suffix = ".fam"

    def write_samples(self, out: IO[bytes], samples: Sequence[str]) -> None:
        for sample in samples:
            if sample.split() != [sample]:
                raise BiofuseError(
                    f"sample ID {sample!r} contains white space, which separates the columns "
                    "of a .fam file; leave the sample out with -s ^ID, or rename it"
                )
        lines = [f"{sample}\t{sample}\t0\t0\t0\t-9\n" for sample in samples]
        out.write("".join(lines).encode())

    def write_variants(self, out: IO[bytes], variants: Variants) -> None:
        pass
