"""Targets of what users write: tables of samples, genetic maps, regions, expressions."""

import base64
import tempfile
from collections.abc import Callable

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.options import NamedFile
from biofuse.plan.filters.grammar import parse
from biofuse.plan.genetic_map import GeneticMap
from biofuse.plan.region_text import parse_regions
from biofuse.plan.sample_table import read_sample_table
from biofuse.selection_files import read_regions_file, read_samples_file, unpack_bounds

SAMPLES = [f"S{i}" for i in range(6)]
CONTIGS = ["1", "chr2", "X", "HLA:01", "HLA:01:02"]
# A message may quote what it is about, and say what Python's own words are in it.
LONGEST = 1000


def refused(call: Callable[[], object]) -> object | None:
    """What a call gives; None if it is refused with one line."""
    try:
        return call()
    except BiofuseError as error:
        text = str(error)
        assert "\n" not in text
        assert 0 < len(text) < LONGEST, text
        return None


def _file(data: bytes, chromosome: str | None = None) -> NamedFile:
    return NamedFile("t.tsv", base64.b64encode(data).decode(), chromosome)


def sample_table(data: bytes) -> None:
    """The first byte chooses the phenotypes and whether there is a .fam."""
    if not data:
        return
    wanted = [[], ["y"], ["BMI", "y"], ["x"]][data[0] % 4]
    found = refused(lambda: read_sample_table(_file(data[1:]), wanted, SAMPLES, bool(data[0] & 4)))
    if found is None:
        return
    table, said = found
    assert all("\n" not in line for line in said)
    assert set(table.sex) <= {"1", "2", ""}
    for phenotype in table.phenotypes:
        assert len(phenotype.values) == len(phenotype.codes) == len(SAMPLES)


def sample_table_seeds() -> list[bytes]:
    texts = [
        "IID\tSEX\nS0\t1\nS3\t2\n",
        "#FID IID SEX PAT MAT y\nF S1 M 0 S2 1\nF S2 F 0 0 2\n",
        "F S0 0 0 1 -9\nF S1 S0 0 2 2\n",
        "IID\tBMI\ty\nS0\t1.5\tA\nS1\tNA\tB10\nS2\t-9\tB9\n",
        "sample,SEX\nS0,male\n",
        "IID\ty\nS0\t1e999\nS1\t.\n",
        '"IID" "SEX"\n"S0" 1\n',
        "\ufeffIID\tSEX\r\nS5\t0\r\n",
    ]
    return [bytes([number]) + text.encode() for number in range(8) for text in texts]


def genetic_map(data: bytes) -> None:
    """The first byte chooses whether the file is one of a chromosome's."""
    if not data:
        return
    files = [_file(data[1:], "X" if data[0] % 2 else None)]
    contigs = np.array([0, 0, 1, 2, 2, 2])[: 1 + data[0] // 2 % 6]
    positions = np.array([1, 2**31 - 2, 1500, 1000, 1001, 5_000_000])[: len(contigs)]

    def use() -> list[str]:
        found = GeneticMap(files, CONTIGS)
        texts = list(found.centimorgans(contigs, positions))
        found.warnings()
        return texts

    texts = refused(use)
    if texts is not None:
        assert len(texts) == len(contigs)
        assert all(np.isfinite(float(text)) for text in texts), texts


def genetic_map_seeds() -> list[bytes]:
    header = "position COMBINED_rate(cM/Mb) Genetic_Map(cM)\n"
    texts = [
        header + "1000 0.5 0.12\n2000 0.3 0.5\n3000 0 1.98\n",
        "pos\tchr\tcM\n1000\t1\t0\n2000\t1\t0.5\n10\tX\t0\n20\tX\t1e-3\n",
        "chr position COMBINED_rate(cM/Mb) Genetic_Map(cM)\n1 55550 0 0\n1 82571 2.98 0.08\n",
        "1 1000 0.5 0\n2 1000 1 0\n23 1500 NA 9\n",
    ]
    return [bytes([number]) + text.encode() for number in range(12) for text in texts]


def regions(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    found = refused(lambda: parse_regions(text, "-r", CONTIGS))
    for region in found or ():
        assert region.first <= region.last
        if region.first < 0 or "}" in region.contig or "," in region.contig or not region.contig:
            # Everywhere, or of a name that braces cannot hold.
            continue
        again = f"{{{region.contig}}}:{region.first}-{region.last}"
        assert parse_regions(again, "-r", CONTIGS) == [region], again


def region_seeds() -> list[bytes]:
    texts = ["1", "1:5", "chr2:100-200", "X:1000-", "{HLA:01}:5", "HLA:01:02:1-2", "1:1,000-2,000"]
    texts += ["1:1k-1.5M", "1:5e3", "^1:5", "a,b:1,{c}", "1:-5", "1:9-3", " 1 : 2 - 3 ", "1:0x10"]
    return [text.encode() for text in (*texts, ",".join(texts))]


def expression(data: bytes) -> None:
    refused(lambda: parse(data.decode(errors="replace")))


def expression_seeds() -> list[bytes]:
    texts = ["POS>5 && INFO/DP<=3e2", 'GT="het" || N_ALT=1', '(AC/AN)>0.1 & !(ID=".")', "QUAL!=."]
    texts += ['FILTER~"PASS"', "F_MISSING<0.1", 'TYPE="snp"', "MAX(FMT/GQ)>20", "ALT='<DEL>'"]
    return [text.encode() for text in texts]


def selection_files(data: bytes) -> None:
    """The first byte chooses what the file is of, and what its name ends in."""
    if not data:
        return
    suffix = ("", ".bed", ".vcf", ".gz", ".tsv", ".bed.gz")[data[0] // 2 % 6]
    with tempfile.NamedTemporaryFile(suffix=suffix, dir="/dev/shm") as file:
        file.write(data[1:])
        file.flush()
        if data[0] % 2:
            found = refused(lambda: read_samples_file(file.name))
            assert found is None or all(found.lines)
            return
        found = refused(lambda: read_regions_file(file.name))
    if found is not None:
        bounds = np.frombuffer(unpack_bounds(found.bounds), np.int64).reshape(-1, 2)
        assert len(bounds) == sum(found.counts)
        assert len(found.counts) == len(found.contigs) == len(set(found.contigs))


def selection_file_seeds() -> list[bytes]:
    texts = ["1\t5\t90\nchr2\t7\n", "1 5\n", "##fileformat=VCFv4.2\n#CHROM\tPOS\n1\t5\t.\tA\n"]
    texts += ["track x\n1\t0\t5\n", "S0\nS1\n", "#IID\nS1 F\n", "\ufeff1\t5\r\n", "\x1f\x8b\x08"]
    return [bytes([kind]) + text.encode() for kind in range(12) for text in texts]
