"""BGEN files: a parser written from the specification, and what the field's readers see.

Specification: https://www.chg.ox.ac.uk/~gav/bgen_format/spec/v1.2.html.
"""

import math
import sqlite3
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bgen as bgen_module
import cbgen
import numpy as np
from bgen_reader import open_bgen

from support.oracles import plink2, run, tool


@dataclass
class Variant:
    """A variant as a file has it or a reader sees it; None is what a reader does not tell.

    Attributes
    ----------
    names : tuple
        varid, rsid, chromosome, position, alleles.
    phased : bool or None
    ploidy : ndarray of int, or None
    probs : ndarray, shape (samples, 4), or None
        NaN where missing, and behind what there is. Unphased: of 0, 1, 2 copies of ALT, where
        haploid of 0 and 1. Phased: of REF and ALT, for one haplotype after the other.
    """

    names: tuple[str | None, str, str, int, tuple[str, str]]
    phased: bool | None
    ploidy: np.ndarray | None
    probs: np.ndarray | None

    def dosage(self) -> np.ndarray:
        """Copies of ALT where a haploid call counts twice."""
        p = self.probs
        haploid = np.isnan(p[:, 2])
        diploid = p[:, 1] + p[:, 3] if self.phased else p[:, 1] + 2 * p[:, 2]
        return np.where(haploid, 2 * p[:, 1], diploid)


@dataclass
class Stored(Variant):
    """A variant of a parsed file.

    Attributes
    ----------
    offset, size : int
        Of its record.
    bits : int
    missing : ndarray of bool
    integers : ndarray of int, shape (samples, 2)
        What is stored a sample; -1 where a haploid call has none.
    """

    offset: int
    size: int
    bits: int
    missing: np.ndarray
    integers: np.ndarray


@dataclass
class File:
    """A parsed file.

    Attributes
    ----------
    samples : list of str or None
    num_samples : int
    header_size : int
    variants : list of Stored
    """

    samples: list[str] | None
    num_samples: int
    header_size: int
    variants: list[Stored]


def probabilities(
    integers: np.ndarray, missing: np.ndarray, haploid: np.ndarray, phased: bool, bits: int
) -> np.ndarray:
    """`Variant.probs` from integers of `Stored`."""
    one = 2**bits - 1
    a, b = integers.T
    if phased:
        columns = [a, one - a, b, one - b]
    else:
        columns = [a, np.where(haploid, one - a, b), one - a - b, np.full(len(a), math.nan)]
    probs = np.stack(columns, axis=1) / one
    probs[haploid, 2:] = math.nan
    probs[missing] = math.nan
    return probs


class _Cursor:
    def __init__(self, data: bytes, position: int = 0):
        self.data = data
        self.position = position

    def take(self, size: int) -> bytes:
        assert self.position + size <= len(self.data), "the data end before"
        self.position += size
        return self.data[self.position - size : self.position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def string(self, width: int) -> str:
        return self.take(self.number(width)).decode()


def inflate(stream: bytes) -> bytes:
    """A zlib stream, which must end where it is said to; zlib checks its Adler-32."""
    decoder = zlib.decompressobj()
    data = decoder.decompress(stream)
    assert decoder.eof and decoder.unused_data == b"" and decoder.unconsumed_tail == b""
    return data


def parse(data: bytes) -> File:
    """Take a whole file apart and check all that the specification says of it."""
    cursor = _Cursor(data)
    offset = cursor.number(4)
    size, num_variants, num_samples, magic, flags = struct.unpack("<III4sI", cursor.take(20))
    assert (size, magic) == (20, b"bgen")
    assert flags & 3 == 1 and flags >> 2 & 15 == 2 and flags & 0x7FFFFFC0 == 0
    samples = None
    if flags >> 31:
        start = cursor.position
        size = cursor.number(4)
        assert cursor.number(4) == num_samples
        samples = [cursor.string(2) for _ in range(num_samples)]
        assert cursor.position == start + size
    assert cursor.position == offset + 4
    variants = [_variant(cursor, num_samples) for _ in range(num_variants)]
    assert cursor.position == len(data)
    return File(samples, num_samples, offset + 4, variants)


def _variant(cursor: _Cursor, num_samples: int) -> Stored:
    offset = cursor.position
    varid, rsid, chrom = (cursor.string(2) for _ in range(3))
    position = cursor.number(4)
    assert cursor.number(2) == 2
    alleles = cursor.string(4), cursor.string(4)
    size = cursor.number(4)
    uncompressed = cursor.number(4)
    payload = inflate(cursor.take(size - 4))
    assert len(payload) == uncompressed
    names = varid, rsid, chrom, position, alleles
    return _genotypes(payload, num_samples, names, offset, cursor.position - offset)


def _genotypes(payload: bytes, num_samples: int, names, offset: int, size: int) -> Stored:
    cursor = _Cursor(payload)
    assert cursor.number(4) == num_samples
    assert cursor.number(2) == 2
    least, most = cursor.take(2)
    flags = np.frombuffer(cursor.take(num_samples), dtype=np.uint8)
    assert np.isin(flags, [0x01, 0x02, 0x81, 0x82]).all()
    ploidy, missing = (flags & 0x3F).astype(int), flags >= 0x80
    assert (least, most) == (ploidy.min(), ploidy.max())
    phased, bits = cursor.take(2)
    assert phased in (0, 1) and bits in (8, 16)
    count = int(ploidy.sum())
    values = np.frombuffer(cursor.take(count * bits // 8), dtype=f"<u{bits // 8}").astype(int)
    assert cursor.position == len(payload)
    starts = np.cumsum(ploidy) - ploidy
    haploid = ploidy == 1
    integers = np.stack([values[starts], values[starts + ploidy - 1]], axis=1)
    assert (integers[missing] == 0).all()
    integers[haploid, 1] = -1
    if not phased:
        assert (integers.clip(0).sum(axis=1) < 2**bits).all()
    probs = probabilities(integers, missing, haploid, bool(phased), bits)
    return Stored(names, bool(phased), ploidy, probs, offset, size, bits, missing, integers)


def same_number(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True)


def _padded(probs: np.ndarray) -> np.ndarray:
    out = np.full((len(probs), 4), math.nan)
    out[:, : probs.shape[1]] = probs
    return out


def by_cbgen(stem: Path, folder: Path) -> list[Variant]:
    metafile = folder / "cbgen.metafile"
    variants = []
    with cbgen.bgen_file(f"{stem}.bgen") as file:
        file.create_metafile(metafile)
        with cbgen.bgen_metafile(metafile) as index:
            parts = [index.read_partition(i).variants for i in range(index.npartitions)]
        for part in parts:
            for i, offset in enumerate(part.offset):
                genotype = file.read_genotype(offset)
                names = (
                    part.id[i].decode(),
                    part.rsid[i].decode(),
                    part.chromosome[i].decode(),
                    int(part.position[i]),
                    tuple(part.allele_ids[i].decode().split(",")),
                )
                assert np.isnan(genotype.probability[genotype.missing]).all()
                variants.append(
                    Variant(
                        names,
                        bool(genotype.phased),
                        genotype.ploidy.astype(int),
                        _padded(genotype.probability),
                    )
                )
    return variants


def by_bgen(stem: Path, folder: Path) -> list[Variant]:
    variants = []
    with bgen_module.BgenReader(f"{stem}.bgen", delay_parsing=True) as file:
        for v in file:
            names = v.varid, v.rsid, v.chrom, v.pos, tuple(v.alleles)
            probs = _padded(v.probabilities)
            variants.append(Variant(names, bool(v.is_phased), v.ploidy.astype(int), probs))
    return variants


def by_bgen_reader(stem: Path, folder: Path) -> list[Variant]:
    """With its metadata elsewhere than beside the file."""
    metadata = folder / "bgen_reader.mmm"
    variants = []
    with open_bgen(
        f"{stem}.bgen", metadata_filepath=metadata, allow_complex=True, verbose=False
    ) as file:
        for i in range(file.nvariants):
            probs, missing, ploidy = file.read(i, return_missings=True, return_ploidies=True)
            assert np.isnan(probs[missing[:, 0], 0]).all()
            names = (
                str(file.ids[i]),
                str(file.rsids[i]),
                str(file.chromosomes[i]),
                int(file.positions[i]),
                tuple(str(file.allele_ids[i]).split(",")),
            )
            variants.append(
                Variant(names, bool(file.phased[i]), ploidy[:, 0].astype(int), _padded(probs[:, 0]))
            )
    return variants


def bgenix(stem: Path, *arguments) -> str:
    return run(tool("bgenix"), "-g", f"{stem}.bgen", *arguments)


def listed(text: str) -> list[tuple]:
    """The variants of what `bgenix -list` printed."""
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    assert rows[0][:4] == ["alternate_ids", "rsid", "chromosome", "position"]
    return [(r[0], r[1], r[2], int(r[3]), (r[5], r[6])) for r in rows[1:]]


def by_bgenix(stem: Path, folder: Path) -> list[Variant]:
    """`-vcf` and `-list`, both in the index's order, which is by position."""
    names = listed(bgenix(stem, "-list"))
    lines = [line for line in bgenix(stem, "-vcf").splitlines() if line[:1] != "#"]
    assert len(names) == len(lines)
    variants = []
    for name, line in zip(names, lines, strict=True):
        fields = line.split("\t")
        assert (fields[0], int(fields[1]), fields[3], fields[4]) == (*name[2:4], *name[4])
        calls = [call.partition(":")[::2] for call in fields[9:]]
        probs = np.full((len(calls), 4), math.nan)
        for i, (_, values) in enumerate(calls):
            if "." not in values.split(","):
                numbers = [float(v) for v in values.split(",") if v]
                probs[i, : len(numbers)] = numbers
        ploidy = np.array([1 + ("/" in gt or "|" in gt) for gt, _ in calls])
        diploid = [gt for gt, _ in calls if len(gt) > 1]
        phased = "|" in diploid[0] if diploid else None
        variants.append(Variant(name, phased, ploidy, probs))
    return variants


def by_plink2(stem: Path, folder: Path, *options) -> list[Variant]:
    """Dosages: haploid calls are homozygous for plink2 (but on X of males), phase it mixes up."""
    sample = ["--sample", f"{stem}.sample"] if Path(f"{stem}.sample").exists() else []
    plink2(
        *("--bgen", f"{stem}.bgen", "ref-first", *sample, "--allow-extra-chr"),
        *("--export", "vcf", "vcf-dosage=DS-force", "--out", folder / "plink2", *options),
    )
    variants = []
    for line in (folder / "plink2.vcf").read_text().splitlines():
        if line[0] == "#":
            continue
        fields = line.split("\t")
        assert fields[8] == "GT:DS"
        texts = [call.split(":")[1] for call in fields[9:]]
        probs = np.full((len(texts), 4), math.nan)
        # As if all were haploid, with a dosage of 2 at most.
        probs[:, 1] = [math.nan if text == "." else float(text) / 2 for text in texts]
        probs[:, 0] = 1 - probs[:, 1]
        names = None, fields[2], fields[0], int(fields[1]), (fields[3], fields[4])
        variants.append(Variant(names, None, None, probs))
    return variants


READERS: dict[str, Callable[[Path, Path], list[Variant]]] = {
    "cbgen": by_cbgen,
    "bgen": by_bgen,
    "bgen-reader": by_bgen_reader,
    "bgenix": by_bgenix,
    "plink2": by_plink2,
}

# bgenix prints six digits at most, plink2 keeps multiples of 1/16384.
TOLERANCE = {"bgenix": 1e-4, "plink2": 1e-4}


def _names_in(reader: str, variant: Variant) -> tuple:
    """A variant's names as a reader gives them: plink2 takes the chr off chromosomes."""
    if reader != "plink2":
        return variant.names
    varid, rsid, chrom, *rest = variant.names
    return (varid, rsid, chrom.removeprefix("chr"), *rest)


def check_reader(
    name: str, stem: Path, folder: Path, expected: list[Variant], by_name=True
) -> None:
    """What a reader sees in a file must be what is expected.

    `by_name` compares IDs and the like, which some readers are known not to take.
    """
    seen = READERS[name](stem, folder)
    assert len(seen) == len(expected)
    if name == "bgenix":
        expected = sorted(expected, key=_index_order)
    for a, b in zip(seen, expected, strict=True):
        where = name, b.names
        if by_name:
            assert a.names[0] in (None, b.names[0]), where
            assert a.names[1:] == _names_in(name, b)[1:], where
        assert a.phased in (None, b.phased), where
        if name == "plink2":
            assert same_number(a.dosage(), b.dosage(), TOLERANCE[name]), where
            continue
        assert np.array_equal(a.ploidy, b.ploidy), where
        assert same_number(a.probs, b.probs, TOLERANCE.get(name, 1e-6)), where


def _index_order(variant: Variant) -> tuple:
    _, rsid, chrom, position, alleles = variant.names
    return chrom.encode(), position, rsid.encode(), alleles[0].encode(), alleles[1].encode()


def check_all_readers(stem: Path, folder: Path, expected: list[Variant], but=()) -> None:
    """All readers but those named, which must be said why."""
    for name in READERS:
        if name not in but:
            check_reader(name, stem, folder, expected)


def index_rows(path: Path) -> tuple[list[tuple], tuple]:
    """The rows of an index in the file's order, and its metadata."""
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as db:
        rows = db.execute(
            "SELECT chromosome, position, rsid, number_of_alleles, allele1, allele2, "
            "file_start_position, size_in_bytes FROM Variant ORDER BY file_start_position"
        ).fetchall()
        [metadata] = db.execute("SELECT filename, file_size, first_1000_bytes FROM Metadata")
    db.close()
    return rows, metadata


def check_index(stem: Path, data: bytes, file: File) -> None:
    """The index must say of a file what the file says."""
    rows, (name, size, first) = index_rows(Path(f"{stem}.bgen.bgi"))
    assert rows == [
        (*(v.names[2:4]), v.names[1], 2, *v.names[4], v.offset, v.size) for v in file.variants
    ]
    assert (name, size, first) == (f"{stem.name}.bgen", len(data), data[:1000])
