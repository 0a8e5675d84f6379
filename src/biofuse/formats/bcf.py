"""BCF files: `.bcf` and `.bcf.csi`.

Specification: https://samtools.github.io/hts-specs/VCFv4.3.pdf, section 6. The stream is framed
in BGZF blocks of stored data (`biofuse.bgzf`). A record has the site with all of INFO, and of
FORMAT the calls and what else is asked for, each of one width in the whole file: so its size
follows from its site.
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
    Heads,
    Layout,
    Sidecar,
    Subject,
    Variants,
    option,
)
from biofuse.formats.bcf_header import (
    INT8,
    INT16,
    Dictionary,
    header_bytes,
    typed_int,
    typed_size,
)
from biofuse.formats.csi import CsiWriter
from biofuse.formats.positions import check_positions
from biofuse.formats.site_fields import CallField, Sites

if TYPE_CHECKING:
    from biofuse.native import BcfEncoder

NAME = "bcf"
TITLE = "BCF"
MULTIALLELIC = True
FILES = (File("bcf", ".bcf"), File("csi", ".bcf.csi", "no_csi"))

# The most alleles of which a byte tells the numbers.
_MAX_NARROW_ALLELES = 63
# Of a site. Calls are of alleles up to 127, which is what planes hold.
_MAX_ALLELES = 1 << 14
_MAX_SAMPLES = (1 << 24) - 1
_MAX_PLOIDY = 255
_MAX_DATA = (1 << 31) - 1
_MAX_POSITION = (1 << 31) - 1
_MAX_FIELDS = 255
_GT, _ALL = "GT", "all"
# What values there are for, of fields whose number follows from a site's alleles; and the types
# of those that can be none, of which a record has no more than its site has alleles for.
_ALLELES, _MAY_END = "ARG", "bhiqf"


@dataclass(frozen=True)
class Options:
    """Options of the BCF files.

    Attributes
    ----------
    bcf_fields : str
        Names of fields of FORMAT with commas between them, or "all".
    no_csi : bool
    """

    bcf_fields: str = option(
        "GT",
        "Fields of FORMAT that the .bcf has, as GT,DP,GQ,AD, or all; slower than GT alone.",
        fields=True,
    )
    no_csi: bool = option(False, "Leave out the .bcf.csi index, which wants sites in order.")


def needs_sites(options: Options) -> bool:
    """Whether files are made from all fields of sites: always."""
    return True


def layout(subject: Subject, options: Options) -> Layout:
    """Layout of the `.bcf`.

    Raises
    ------
    BiofuseError
        If the store has no calls, or none of the fields that are asked for, or something is
        beyond the format's limits.
    """
    calls, formats = _fields(subject, options)
    sites = subject.read_sites()
    num_samples = len(subject.samples)
    dictionary = Dictionary(sites, formats)
    width, prefix = 0, b""
    if calls:
        # A byte is enough for most; its width is the same for all records.
        width = 1 if sites.max_alleles <= _MAX_NARROW_ALLELES else 2
        prefix = typed_int(dictionary.keys[_GT])
        prefix += typed_size(subject.ploidy, INT8 if width == 1 else INT16)
    params = {
        "width": width,
        "prefix": prefix.hex(),
        "formats": [
            (field.code, _per(field), field.width, typed_int(dictionary.keys[field.key]).hex())
            for field in formats
        ],
    }
    _check_limits(subject, sites, calls + len(formats))
    encoder = record_encoder(params, None, None)
    data_size = encoder.data_size(num_samples, subject.ploidy)
    if data_size > _MAX_DATA:
        raise BiofuseError(f"{num_samples} samples are more than a BCF file can hold")
    header = header_bytes(sites, dictionary, subject.samples, formats, calls)
    fields = [GENOTYPES]
    if calls and PHASED in subject.shapes and subject.ploidy > 1:
        fields.append(PHASED)
    fields += [field.path for field in formats]
    varied = any(_per(field) for field in formats)

    def heads(variants: Variants) -> Heads:
        found = _heads(variants, sites, dictionary, encoder, num_samples, subject.ploidy)
        return found if varied else found._replace(behind=None)

    return Layout(
        header=lambda count: header,
        record_size=None if varied else data_size,
        heads=heads,
        fields=tuple(fields),
        params=params,
        framed=True,
    )


def _fields(subject: Subject, options: Options) -> tuple[bool, list[CallField]]:
    """Whether there is GT, and what else there is of FORMAT."""
    names = [name.strip() for name in options.bcf_fields.split(",")]
    if names == [_ALL]:
        found = subject.read_fields(None)
        if not found:
            subject.need_genotypes()
        return GENOTYPES in subject.shapes, found
    if "" in names:
        raise BiofuseError(
            f"--bcf-fields {options.bcf_fields!r} has an empty name in it; it is a list such as "
            "GT,DP,AD, or all"
        )
    calls = _GT in names
    if calls:
        subject.need_genotypes()
    others = [name for name in dict.fromkeys(names) if name != _GT]
    return calls, subject.read_fields(others) if others else []


def _per(field: CallField) -> str:
    """What there are values for, where records have as many as their sites ask for; else ""."""
    return field.number if field.number in _ALLELES and field.code in _MAY_END else ""


def _check_limits(subject: Subject, sites: Sites, fields: int) -> None:
    if len(subject.samples) > _MAX_SAMPLES:
        raise BiofuseError(f"{len(subject.samples)} samples are more than a BCF file can hold")
    if fields > _MAX_FIELDS:
        raise BiofuseError(
            f"{fields} fields of FORMAT are more than a BCF file can hold, {_MAX_FIELDS}; name "
            "those that are wanted with --bcf-fields"
        )
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
    variants: Variants,
    sites: Sites,
    dictionary: Dictionary,
    encoder: "BcfEncoder",
    num_samples: int,
    ploidy: int,
) -> Heads:
    """What precedes FORMAT: sizes, the site and INFO."""
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
        heads = native.bcf_heads(
            columns.contig,
            variants.position,
            columns.length,
            columns.quality,
            variants.id,
            columns.alleles,
            columns.filters,
            array("I", [dictionary.keys[name] for name, _ in sites.filters]),
            fields,
            encoder,
            num_samples,
            ploidy,
        )
    except native.NativeError as error:
        i = error.row
        place = f"{variants.chrom[i]}:{variants.position[i]}" if i >= 0 else "a variant"
        raise BiofuseError(f"{place} cannot be shown in a .bcf: {error}") from error
    return Heads(*heads)


def record_encoder(
    params: dict[str, Any], offsets: memoryview | None, heads: memoryview | None
) -> "BcfEncoder":
    """The kernel that makes records."""
    from biofuse import native

    formats = [
        (code, per, width, bytes.fromhex(key)) for code, per, width, key in params["formats"]
    ]
    starts = None
    if heads is not None and offsets is not None and any(per for _, per, _, _ in formats):
        # Behind the heads is where each of them is.
        size = offsets.nbytes
        heads, starts = heads[:-size], heads[-size:].cast("Q")
    prefix = bytes.fromhex(params["prefix"])
    return native.BcfEncoder(params["width"], prefix, offsets, heads, formats, starts)


def sidecars(options: Options) -> list[Sidecar]:
    """The writer of the `.bcf.csi`, unless `no_csi`."""
    return [] if options.no_csi else [CsiWriter()]


def notices(options: Options, findings: Findings) -> list[str]:
    """None: what reads BCF reads all of it."""
    return []
