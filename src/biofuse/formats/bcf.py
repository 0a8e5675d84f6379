"""BCF files: `.bcf` and `.bcf.csi`.

Specification: https://samtools.github.io/hts-specs/VCFv4.3.pdf, section 6. The stream is framed
in BGZF blocks of stored data (`biofuse.bgzf`). A record has the site with all of INFO, and of
FORMAT the calls, of one width in the whole file: so its size follows from its site.
"""

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from biofuse.errors import BiofuseError
from biofuse.formats.base import (
    GENOTYPES,
    PHASED,
    File,
    Findings,
    Layout,
    Sidecar,
    Sites,
    Subject,
    Variants,
    option,
)
from biofuse.formats.bcf_header import Dictionary, header_bytes, typed_int, typed_size
from biofuse.formats.csi import CsiWriter
from biofuse.formats.positions import check_positions

if TYPE_CHECKING:
    from biofuse.native import BcfEncoder

NAME = "bcf"
TITLE = "BCF"
MULTIALLELIC = True
FILES = (File("bcf", ".bcf"), File("csi", ".bcf.csi", "no_csi"))

# The most alleles of which a byte tells the numbers.
_MAX_NARROW_ALLELES = 63
_MAX_ALLELES = 1 << 14
_MAX_SAMPLES = (1 << 24) - 1
_MAX_PLOIDY = 255
_MAX_DATA = (1 << 31) - 1
_MAX_POSITION = (1 << 31) - 1


@dataclass(frozen=True)
class Options:
    """Options of the BCF files."""

    no_csi: bool = option(False, "Leave out the .bcf.csi index, which wants sites in order.")


def needs_sites(options: Options) -> bool:
    """Whether files are made from all fields of sites: always."""
    return True


def layout(subject: Subject, options: Options) -> Layout:
    """Layout of the `.bcf`.

    Raises
    ------
    BiofuseError
        If the store has no calls, or something is beyond the format's limits.
    """
    subject.need_genotypes()
    sites = subject.read_sites()
    num_samples = len(subject.samples)
    width = 1 if sites.max_alleles <= _MAX_NARROW_ALLELES else 2
    # A byte is enough for most; its width is the same for all records.
    bytes_of_calls = num_samples * subject.ploidy * width
    _check_limits(subject, sites, bytes_of_calls)
    dictionary = Dictionary(sites)
    prefix = typed_int(dictionary.keys["GT"]) + typed_size(subject.ploidy, width)
    params = {"width": width, "prefix": prefix.hex()}
    header = header_bytes(sites, dictionary, subject.samples)
    data_size = record_encoder(params, None, None).data_size(num_samples, subject.ploidy)
    if PHASED in subject.shapes and subject.ploidy > 1:
        fields: tuple[str, ...] = (GENOTYPES, PHASED)
    else:
        fields = (GENOTYPES,)
    return Layout(
        header=lambda count: header,
        record_size=data_size,
        heads=lambda variants: _heads(variants, sites, dictionary, num_samples, data_size),
        fields=fields,
        params=params,
        framed=True,
    )


def _check_limits(subject: Subject, sites: Sites, bytes_of_calls: int) -> None:
    if len(subject.samples) > _MAX_SAMPLES or bytes_of_calls > _MAX_DATA:
        raise BiofuseError(f"{len(subject.samples)} samples are more than a BCF file can hold")
    if subject.ploidy > _MAX_PLOIDY:
        raise BiofuseError(
            f"the store's genotypes have room for {subject.ploidy} alleles a call; BCF files are "
            f"made of up to {_MAX_PLOIDY}"
        )
    if sites.max_alleles > _MAX_ALLELES:
        raise BiofuseError(
            f"the store has room for {sites.max_alleles} alleles a site; BCF files are made of up "
            f"to {_MAX_ALLELES}"
        )


def _heads(
    variants: Variants, sites: Sites, dictionary: Dictionary, num_samples: int, data_size: int
) -> "tuple[bytes, array[int]]":
    """What precedes the calls: sizes, the site and INFO."""
    from biofuse import native

    assert variants.sites is not None
    columns = variants.sites()
    check_positions(variants, _MAX_POSITION, "which BCF cannot hold")
    fields = []
    for field, values in zip(sites.info, columns.info, strict=True):
        try:
            fields.append(native.BcfField(dictionary.keys[field.key], field.width, values))
        except OverflowError as error:
            raise BiofuseError(f"variant_{field.key} cannot be shown in a .bcf: {error}") from error
    try:
        return native.bcf_heads(
            columns.contig,
            variants.position,
            columns.length,
            columns.quality,
            variants.id,
            columns.alleles,
            columns.filters,
            array("I", [dictionary.keys[name] for name, _ in sites.filters]),
            fields,
            num_samples,
            data_size,
        )
    except native.NativeError as error:
        i = error.row
        place = f"{variants.chrom[i]}:{variants.position[i]}" if i >= 0 else "a variant"
        raise BiofuseError(f"{place} cannot be shown in a .bcf: {error}") from error


def record_encoder(
    params: dict[str, Any], offsets: memoryview | None, heads: memoryview | None
) -> "BcfEncoder":
    """The kernel that makes records."""
    from biofuse import native

    return native.BcfEncoder(params["width"], bytes.fromhex(params["prefix"]), offsets, heads)


def sidecars(options: Options) -> list[Sidecar]:
    """The writer of the `.bcf.csi`, unless `no_csi`."""
    return [] if options.no_csi else [CsiWriter()]


def notices(options: Options, findings: Findings) -> list[str]:
    """None: what reads BCF reads all of it."""
    return []
