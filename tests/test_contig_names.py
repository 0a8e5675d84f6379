"""Contig names come out as plink2 writes them."""

import sqlite3

from support.bgen import parse
from support.oracles import plink2, plink2_make_bed
from support.stores import vcf_store
from support.vcf import Site, Vcf, sample_names
from support.views import make_files

from biofuse.formats.chromosome import chromosome_name

# Those that plink2 refuses to load are not here.
NAMES = [
    *(str(i) for i in range(1, 27)),
    *(f"chr{i}" for i in range(1, 27)),
    *("X", "Y", "XY", "MT", "M", "chrX", "chrY", "chrXY", "chrM", "chrMT"),
    *("x", "y", "mt", "m", "Chr1", "CHR2", "chrx", "Chrm", "CHRMT"),
    *("0", "00", "chr0", "01", "chr01", "001", "007", "chr022", "027", "28", "chr28"),
    *("27", "chr27", "100", "chr100", "1000000"),
    *("GL000192.1", "chrUn_KI270742v1", "chr1_KI270706v1_random", "HLA-A", "scaffold_7", "chrEBV"),
    *("PAR1", "PAR2", "par1", "Par2", "chrPAR1", "contig", "NC_000001.11", "1_alt", "Z", "W"),
]


def test_names_are_those_of_plink2(tmp_path):
    # The IDs tell which variant is which, as several names may come to the same.
    sites = [Site(name, i, ["0/0", "0/1"], id=name) for i, name in enumerate(NAMES, 1)]
    vcf = Vcf(sample_names(2), sites).write(tmp_path / "x.vcf")
    out = tmp_path / "p"
    plink2("--vcf", vcf, "--allow-extra-chr", "--make-pgen", "--sort-vars", "--out", out)
    rows = [line.split("\t") for line in (tmp_path / "p.pvar").read_text().splitlines()]
    theirs = {row[2]: row[0] for row in rows if not row[0].startswith("#")}
    assert {name: chromosome_name(name) for name in NAMES} == theirs


def test_names_in_the_mounted_bim(biofuse, tmp_path):
    contigs = ("1", "chr2", "chr22", "23", "X", "chrY", "M", "scaffold_7", "chrEBV")
    sites = [Site(name, 5, ["0/0", "0/1", "1/1"], id=f"on-{name}") for name in contigs]
    path, store = vcf_store(Vcf(sample_names(3), sites), tmp_path)
    with biofuse.mount(store) as mount:
        seen = mount.bim.read_text()
    # plink2 sorts chromosomes when it makes a .bed, so order is not looked at.
    by_plink2 = plink2_make_bed(path, tmp_path / "p").bim
    assert sorted(seen.splitlines()) == sorted(by_plink2.splitlines())


def test_names_are_the_same_in_every_view(tmp_path):
    """The .bgen and its index have those of the .bim; `store` and mount-bgen have the store's."""
    contigs = ("chr2", "chr20", "chrX", "chrM", "scaffold_7")
    sites = [Site(name, 5, ["0/0", "0/1", "1/1"], id=f"on-{name}") for name in contigs]
    _, store = vcf_store(Vcf(sample_names(3), sites), tmp_path)
    theirs = ["2", "20", "X", "MT", "scaffold_7"]
    both = ["--format", "plink", "--format", "bgen"]
    for name, like, words, expected in (
        ("plain", "mount", both, theirs),
        ("store", "mount", [*both, "--contig-names", "store"], list(contigs)),
        ("old", "mount-bgen", [], list(contigs)),
        ("old-plink2", "mount-bgen", ["--contig-names", "plink2"], theirs),
    ):
        stem = make_files(store, tmp_path / name, *words, like=like)
        file = parse(stem.with_suffix(".bgen").read_bytes())
        assert [variant.names[2] for variant in file.variants] == expected
        with sqlite3.connect(f"{stem}.bgen.bgi") as index:
            rows = index.execute("SELECT chromosome FROM Variant ORDER BY file_start_position")
            assert [row[0] for row in rows] == expected
        if like == "mount":
            lines = stem.with_suffix(".bim").read_text().splitlines()
            assert [line.split("\t")[0] for line in lines] == expected


def test_names_in_ids_are_those_shown(tmp_path):
    _, store = vcf_store(Vcf(sample_names(3), [Site("chr20", 5, ["0/1"] * 3)]), tmp_path)
    template = ["--variant-id-template", "@:#"]
    for words, expected in (([], "20:5"), (["--contig-names", "store"], "chr20:5")):
        stem = make_files(store, tmp_path / expected, *template, *words)
        assert stem.with_suffix(".bim").read_text().split("\t")[1] == expected
