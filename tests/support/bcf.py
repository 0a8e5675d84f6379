"""VCFs that have every kind of INFO, and BCF taken apart: no code of biofuse's has a part in it."""

import gzip
import random
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from support.oracles import run

# By key: Number, Type, and what a header may say of it.
INFO = {
    "FLAG": ("0", "Flag", "A flag"),
    "END": ("1", "Integer", "Where a site ends"),
    "BIG": ("1", "Integer", "Of 32 bits, 50% of them large"),
    "I1": ("1", "Integer", r"An \"integer\", one"),
    "IA": ("A", "Integer", "An integer an ALT; 100%"),
    "IR": ("R", "Integer", r"A path C:\\x"),
    "IG": ("G", "Integer", "Integers of genotypes"),
    "IN": (".", "Integer", "Integers, <any>"),
    "I2": ("2", "Integer", "Two"),
    "F1": ("1", "Float", "A float"),
    "FA": ("A", "Float", "Floats"),
    "FN": (".", "Float", ""),
    "S1": ("1", "String", "A text, of é"),
    "SN": (".", "String", "Texts"),
    "C1": ("1", "Character", "A letter"),
}
FILTERS = {"q10": "Quality below 10", "s50": r"Less than 50% of \"samples\" have data"}
QUERY = (
    r"%CHROM\t%POS\t%ID\t%REF\t%ALT\t%QUAL\t%FILTER"
    + "".join(rf"\t%INFO/{key}" for key in INFO)
    + r"[\t%GT]\n"
)
# Bytes of a stream in a block.
_PAYLOAD = 65280


@dataclass(frozen=True)
class Calls:
    """What calls a VCF has: texts of calls with `%` where an allele's number is to be."""

    shapes: tuple[str, ...]


DIPLOID = Calls(("%/%", "%|%", "%/%", "./.", ".|."))
MIXED = Calls(("%/%", "%|%", "%", ".", "./.", "%/.", "./%", ".|%"))
HAPLOID = Calls(("%", "%", "."))
TRIPLOID = Calls(("%/%/%", "%|%|%", "%/%", "%", "./././.", ".", "%/./%"))


def _number(rng: random.Random) -> str:
    # -1 and -2 are what a store has for missing integers.
    return str(rng.choice([0, 1, 7, 127, -3, -120, -121, 128, 32767, -32760, -32761, 70_000]))


def _float(rng: random.Random) -> str:
    return rng.choice(["0", "1.5", "-0.25", "1e-10", "3.40282e+38", "12345.7", "0.333333"])


def _text(rng: random.Random) -> str:
    return rng.choice(["a", "word", "é", "x" * 14, "y" * 15, "z" * 130, "A:B|C", "%41"])


def _value(key: str, alleles: int, rng: random.Random) -> str | None:
    number, kind, _ = INFO[key]
    if rng.random() < 0.4:
        return None
    if key == "BIG":
        return str(rng.choice([2**31 - 1, -(2**31) + 8, 10**9]))
    if kind == "Flag":
        return ""
    count = {"A": alleles - 1, "R": alleles, "G": alleles * (alleles + 1) // 2, ".": 0}.get(number)
    count = int(number) if count is None else count or rng.randrange(1, 20)
    if kind == "Character":
        return rng.choice("ACGT")
    one = {"Integer": _number, "Float": _float, "String": _text}[kind]
    values = [one(rng) for _ in range(count)]
    if count > 1 and rng.random() < 0.5:
        values[rng.randrange(count)] = "."
    if all(value == "." for value in values):
        return None
    return ",".join(values)


def _alleles(count: int, rng: random.Random) -> list[str]:
    found = [rng.choice(["A", "AT", "ACGT" * 5])]
    for i in range(count - 1):
        special = rng.choice(["*", "<DEL>", f"<INS:{i}>", None, None, None])
        text = special or found[0] + "CGT"[i % 3] * (i + 1)
        found.append(text if text not in found else found[0] + "G" * (i + 40))
    return found


def write_vcf(
    path: Path,
    num_samples: int,
    num_sites: int,
    calls: Calls = DIPLOID,
    most_alleles: int = 4,
    seed: int = 0,
    chroms: tuple[str, ...] = ("chr1", "2", "HLA-A*01:01"),
) -> Path:
    """Write a VCF of random sites that take turns in what they have."""
    rng = random.Random(seed)
    lines = ["##fileformat=VCFv4.2", '##FILTER=<ID=PASS,Description="All filters passed">']
    lines += [f'##FILTER=<ID={name},Description="{text}">' for name, text in FILTERS.items()]
    lines += ["##reference=file:///x.fa", '##ALT=<ID=DEL,Description="A \\"deletion\\"">']
    for key, (number, kind, text) in INFO.items():
        lines.append(f'##INFO=<ID={key},Number={number},Type={kind},Description="{text}">')
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    lines += [f"##contig=<ID={chrom},length={10**8 + i}>" for i, chrom in enumerate(chroms)]
    names = [f"S{i}" for i in range(num_samples)]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
    lines.append("\t".join([*columns, *names]))
    each = -(-num_sites // len(chroms))
    for i in range(num_sites):
        pos = 1 + i % each // 2 if i % each < 4 else 100 + (i % each) * 4001
        count = 1 + (i * 7 + rng.randrange(2)) % most_alleles
        alleles = _alleles(count, rng)
        info = []
        for key in INFO:
            value = _value(key, count, rng)
            if key == "IG" and calls is HAPLOID:
                # Of which bio2zarr takes as many as there are haploid genotypes.
                continue
            if key == "END" and value is not None:
                # htslib 1.16 and later ones differ where it is within REF.
                value = str(pos + len(alleles[0]) + rng.choice([-1, 5, 100_000]))
            if value is not None and not (INFO[key][0] == "A" and count == 1):
                info.append(f"{key}={value}" if value else key)
        texts = []
        for _ in names:
            shape = rng.choice(calls.shapes)
            texts.append("".join(str(rng.randrange(count)) if c == "%" else c for c in shape))
        lines.append(
            "\t".join(
                [
                    chroms[i // each],
                    str(pos),
                    rng.choice([".", f"rs{i}", f"a{i};b{i}"]),
                    alleles[0],
                    ",".join(alleles[1:]) or ".",
                    rng.choice([".", "0", "30.5", "99"]),
                    rng.choice([".", "PASS", "q10", "q10;s50"]),
                    ";".join(info) or ".",
                    "GT",
                    *texts,
                ]
            )
        )
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def query(path: Path, *options: str, sites: str = QUERY) -> list[str]:
    """What `bcftools query` tells of all fields, a line a site."""
    found = run("bcftools", "query", "-f", sites, *options, path)
    return found.splitlines()


@dataclass(frozen=True)
class Record:
    """A record: its site, and what it has of calls."""

    site: bytes
    calls: bytes


def take_apart(data: bytes) -> tuple[str, list[Record]]:
    """The header's text and the records of a BCF file, which is BGZF."""
    stream = gzip.decompress(data)
    assert stream[:5] == b"BCF\2\2"
    (size,) = struct.unpack_from("<I", stream, 5)
    at = 9 + size
    text = stream[9:at]
    assert text[-1] == 0 and b"\0" not in text[:-1]
    records = []
    while at < len(stream):
        site, calls = struct.unpack_from("<II", stream, at)
        at += 8
        records.append(Record(stream[at : at + site], stream[at + site : at + site + calls]))
        at += site + calls
    assert at == len(stream)
    return text[:-1].decode(), records


def same_calls(ours: bytes, theirs: bytes, num_samples: int) -> bool:
    """Whether calls are the same, but for those that ours are filled up with to one width."""
    if ours == theirs:
        return True
    # The key in two bytes, then the type, and a byte an allele.
    wide, narrow = ours[2] >> 4, theirs[2] >> 4
    assert ours[:2] == theirs[:2] and ours[2] & 15 == theirs[2] & 15 == 1 and wide > narrow
    filled = b"".join(
        theirs[3 + i * narrow : 3 + (i + 1) * narrow] + b"\x81" * (wide - narrow)
        for i in range(num_samples)
    )
    return ours[3:] == filled


def framed(stream: bytes) -> bytes:
    """The stream in blocks, as the specification of BGZF has them."""
    blocks = []
    for at in range(0, len(stream), _PAYLOAD):
        payload = stream[at : at + _PAYLOAD]
        size = len(payload)
        blocks.append(
            b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"
            + struct.pack("<H", size + 30)
            + b"\x01"
            + struct.pack("<HH", size, 0xFFFF - size)
            + payload
            + struct.pack("<II", zlib.crc32(payload), size)
        )
    end = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
    return b"".join(blocks) + end
