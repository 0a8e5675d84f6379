"""Contig names come out as plink2 writes them."""

from support.oracles import plink2_make_bed
from support.vcf import Site, Vcf, sample_names
from support.stores import vcf_store

from biofuse.formats.chromosome import chromosome_name

# plink2 takes one variant a name; those that it refuses to load are not here.
NAMES = [
    *(str(i) for i in range(1, 27)),
    *(f"chr{i}" for i in range(1, 27)),
    *("X", "Y", "XY", "MT", "M", "chrX", "chrY", "chrXY", "chrM", "chrMT"),
    *("x", "y", "mt", "m", "Chr1", "CHR2", "chrx", "Chrm", "CHRMT"),
    *("01", "chr01", "007", "chr022", "23", "chr23", "27", "chr27", "100", "chr100"),
    *("GL000192.1", "chrUn_KI270742v1", "chr1_KI270706v1_random", "HLA-A", "scaffold_7", "chrEBV"),
    *("PAR1", "PAR2", "chrPAR1", "contig", "NC_000001.11", "1_alt", "Z", "W"),
]


def test_names_are_those_of_plink2(tmp_path):
    contigs = list(dict.fromkeys(NAMES))
    theirs = []
    for name in contigs:
        vcf = Vcf(sample_names(2), [Site(name, 5, ["0/0", "0/1"])])
        made = plink2_make_bed(vcf.write(tmp_path / "x.vcf"), tmp_path / "p")
        theirs.append(made.bim.split("\t")[0])
    assert dict(zip(contigs, map(chromosome_name, contigs), strict=True)) == dict(
        zip(contigs, theirs, strict=True)
    )


def test_names_in_the_mounted_bim(biofuse, tmp_path):
    contigs = ("1", "chr2", "chr22", "23", "X", "chrY", "M", "scaffold_7", "chrEBV")
    sites = [Site(name, 5, ["0/0", "0/1", "1/1"], id=f"on-{name}") for name in contigs]
    path, store = vcf_store(Vcf(sample_names(3), sites), tmp_path)
    with biofuse.mount(store) as mount:
        seen = mount.bim.read_text()
    # plink2 sorts chromosomes when it makes a .bed, so order is not looked at.
    by_plink2 = plink2_make_bed(path, tmp_path / "p").bim
    assert sorted(seen.splitlines()) == sorted(by_plink2.splitlines())
