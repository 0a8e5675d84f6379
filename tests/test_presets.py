"""`--for`: what it shows of a store with phase, haploid calls and missing IDs, and to whom.

What REGENIE and SAIGE ask of files was found by running them; here it is asked of the files
themselves, since neither is there for tests. Other programs are run.
"""

import dataclasses
import json
import re
import shlex
import sqlite3
import struct
import zlib
from contextlib import closing
from pathlib import Path

import click
import numpy as np
import pytest
from support.bgen import parse
from support.oracles import plink2, run
from support.plink2 import body, make_pgen, read_pgen
from support.stores import vcf_store
from support.vcf import Vcf, random_vcf
from support.views import parse as parse_options

import biofuse as package
from biofuse import formats
from biofuse.api.presets import PRESETS, example_commands
from biofuse.api.settings import ViewChoices
from biofuse.errors import BiofuseError

PHASED = ("0|0", "0|1", "1|0", "1|1")
TEMPLATE = "@:#:$r:$a"
BED, BGEN = {"bed", "bim", "fam"}, {"bgen", "bgen.bgi", "sample"}
PGEN, BCF = {"pgen", "pvar", "psam"}, {"bcf", "bcf.csi"}


def cohort() -> Vcf:
    """Autosomes, phased for the most part, and an X on which every other sample is haploid."""
    vcf = random_vcf(23, 60, PHASED, ("chr1", "chr2", "chrX"), seed=11)
    for site in vcf.sites[:5]:
        site.calls[:] = [call.replace("|", "/") for call in site.calls]
    for site in vcf.sites:
        site.calls[3] = "./."
        if site.chrom == "chrX":
            site.calls[::2] = [call[0] for call in site.calls[::2]]
    return vcf


@pytest.fixture
def data(made):
    """The VCF and the store of it."""
    return made("presets", lambda folder: vcf_store(cohort(), folder, variants_chunk_size=7))


def shown(mount) -> set[str]:
    return {path.name.removeprefix("x.") for path in mount.dir.iterdir()}


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        (
            "regenie",
            BED | BGEN | PGEN,
            "shows .bed, .bgen and .pgen and sets --unphased --haploid-as-diploid --no-pvar-info "
            "--variant-id-template '@:#:$r:$a'",
        ),
        (
            "saige",
            BED | BGEN,
            "shows .bed and .bgen and sets --unphased --haploid-as-diploid --bits 8 "
            "--variant-id-template '@:#:$r:$a'",
        ),
        (
            "bolt",
            BED | BGEN,
            "shows .bed and .bgen and sets --unphased --haploid-as-diploid --bits 8 "
            "--variant-id-template '@:#:$r:$a'",
        ),
        ("plink2", PGEN, "shows .pgen and sets --variant-id-template '@:#:$r:$a'"),
        ("bcftools", BCF, "shows .bcf"),
    ],
)
def test_what_each_shows_and_says(name, files, said, data, biofuse):
    _, store = data
    directory = biofuse.new_directory()
    lines = biofuse("mount", store, directory, "--for", name).stderr.splitlines()
    try:
        assert {path.name.removeprefix("x.") for path in directory.iterdir()} == files
        assert lines[0] == f"biofuse: --for {name} {said}"
        assert sum("--for" in line for line in lines) == 1
    finally:
        biofuse("umount", directory)


def block_facts(record: bytes) -> tuple[int, int, int, int, int]:
    """Least and greatest ploidy, phased, bits, and size of a variant's data, uncompressed."""
    data = zlib.decompress(record)
    (samples,) = struct.unpack_from("<I", data)
    least, most = data[6], data[7]
    phased, bits = data[8 + samples], data[9 + samples]
    return least, most, phased, bits, len(data) - (10 + samples)


@pytest.mark.parametrize("name", ["regenie", "saige", "bolt"])
def test_probabilities_are_unphased_diploid_and_of_a_byte(name, data, biofuse):
    vcf, store = data
    with biofuse.mount(store, "--for", name) as mount:
        raw = Path(f"{mount.stem}.bgen").read_bytes()
        file = parse(raw)
        bcf = run("bcftools", "query", "-f", "[%GT ]\n", vcf.with_suffix(".vcf.gz")).splitlines()
    assert len(file.variants) == len(bcf) == 60
    haploid = 0
    for variant, line in zip(file.variants, bcf, strict=True):
        size = variant.size
        record = raw[variant.offset : variant.offset + size]
        start = record.index(b"\x78\x01")
        # REGENIE asserts minploidy == 2, maxploidy == 2 and phasing == 0; SAIGE and BOLT-LMM
        # take bits == 8 only, and of a sample the bytes 2 and 130.
        assert block_facts(record[start:]) == (2, 2, 0, 8, 2 * 23)
        assert (variant.phased, variant.bits) == (False, 8)
        assert set(variant.ploidy.tolist()) == {2}
        calls = [call.replace("|", "/").split("/") for call in line.split()]
        haploid += sum(len(call) == 1 for call in calls)
        copies = [np.nan if "." in c else 2 * sum(map(int, c)) / len(c) for c in calls]
        assert np.array_equal(variant.dosage(), copies, equal_nan=True)
    assert haploid == 20 * 12


def test_files_of_regenie_name_samples_alike(data, biofuse):
    """It names a sample FID_IID, and so must find the same in every file of a run."""
    _, store = data
    with biofuse.mount(store, "--for", "regenie") as mount:
        fam = [line.split() for line in mount.fam.read_text().splitlines()]
        sample = [line.split(" ") for line in Path(f"{mount.stem}.sample").read_text().splitlines()]
        psam = [line.split("\t") for line in Path(f"{mount.stem}.psam").read_text().splitlines()]
        names = parse(Path(f"{mount.stem}.bgen").read_bytes()).samples
    assert sample[:2] == [["ID_1", "ID_2", "missing", "sex"], ["0", "0", "0", "D"]]
    # It refuses a bare #IID, and takes 0, 1, 2 and NA for a sex, in the fam 0, 1 and 2.
    assert psam[0] == ["#FID", "IID", "SEX"]
    ids = [row[:2] for row in fam]
    assert [row[:2] for row in sample[2:]] == [row[:2] for row in psam[1:]] == ids
    assert [row[0] for row in ids] == names
    assert {len(row) for row in sample} == {4}
    assert {row[3] for row in sample[2:]} | {row[2] for row in psam[1:]} <= {"0", "1", "2", "NA"}
    assert {row[4] for row in fam} <= {"0", "1", "2"}


def test_the_index_is_what_regenie_takes(data, biofuse):
    """It reads rows as they come, goes where they say, and asserts the size of the first."""
    _, store = data
    with biofuse.mount(store, "--for", "regenie") as mount:
        bgen = Path(f"{mount.stem}.bgen").read_bytes()
        index = sqlite3.connect(f"file:{mount.stem}.bgen.bgi?immutable=1", uri=True)
        with closing(index) as db:
            rows = db.execute("SELECT * FROM Variant").fetchall()
            name, size = db.execute("SELECT filename, file_size FROM Metadata").fetchone()
    variants = {v.offset: v for v in parse(bgen).variants}
    assert (name, size, len(rows)) == ("x.bgen", len(bgen), len(variants))
    for chrom, position, rsid, count, first, second, offset, size in rows:
        found = variants[offset]
        assert found.names[1:] == (rsid, chrom, position, (first, second))
        assert (count, size) == (2, found.size)
        # What it knows a chromosome by.
        assert chrom in {"1", "2", "X"}


def test_ids_are_those_of_plink2(data, biofuse, tmp_path):
    vcf, store = data
    plink2(
        *("--vcf", vcf, "--double-id", "--set-missing-var-ids", TEMPLATE),
        *("--vcf-half-call", "missing", "--make-bed", "--out", tmp_path / "its"),
    )
    its = [line.split("\t")[1] for line in (tmp_path / "its.bim").read_text().splitlines()]
    assert sum(":" in identifier for identifier in its) > 5
    with biofuse.mount(store, "--for", "regenie") as mount:
        bim = [line.split("\t")[1] for line in mount.bim.read_text().splitlines()]
        pvar = Path(f"{mount.stem}.pvar").read_text().splitlines()
        bgen = parse(Path(f"{mount.stem}.bgen").read_bytes())
    # SAIGE and REGENIE read five columns; a VCF's header would be the plan's work for nothing.
    assert pvar[0] == "#CHROM\tPOS\tID\tREF\tALT"
    assert bim == its
    assert [line.split("\t")[2] for line in pvar[1:]] == its
    assert [variant.names[1] for variant in bgen.variants] == its


def test_plink2_reads_what_it_would_write(data, biofuse, tmp_path):
    vcf, store = data
    its = make_pgen(vcf, tmp_path / "its", "--set-missing-var-ids", TEMPLATE)
    words = ("--freq", "--out", tmp_path / "freq")
    biofuse("run", store, "--for", "plink2", "--", "plink2", "--pfile", "{stem}", *words)
    plink2("--pfile", its, "--freq", "--out", tmp_path / "its")
    assert (tmp_path / "freq.afreq").read_text() == (tmp_path / "its.afreq").read_text()
    with biofuse.mount(store, "--for", "plink2") as mount:
        assert body(Path(f"{mount.stem}.pvar")) == body(its.with_suffix(".pvar"))
        mine, wanted = (read_pgen(Path(f"{stem}.pgen")) for stem in (mount.stem, its))
        assert np.array_equal(mine.calls, wanted.calls)


def test_bcftools_sees_phase_ploidy_and_ids_as_they_were(data, biofuse):
    vcf, store = data
    query = ("-f", "%CHROM %POS %ID %REF %ALT[ %GT]\n")
    done = biofuse("run", store, "--for", "bcftools", "--", "bcftools", "query", *query, "{bcf}")
    assert done.stdout == run("bcftools", "query", *query, vcf.with_suffix(".vcf.gz"))
    assert "|" in done.stdout


# By a preset, what is given beside it; and the options of formats, the template, or the files
# that come of it.
GIVEN = {
    "format": (["regenie", "--format", "plink2"], {"plink2": {"no_pvar_info": True}}, TEMPLATE),
    "info": (["regenie", "--format", "plink2", "--pvar-info"], {"plink2": False}, TEMPLATE),
    "haploid": (["saige", "--keep-haploid"], {"bgen": {"haploid_as_diploid": False}}, TEMPLATE),
    "template": (["bolt", "--variant-id-template", "@_#"], {}, "@_#"),
    "no-template": (["plink2", "--variant-id-template", "."], {}, None),
    "bits": (["regenie", "--bits", "16"], {"bgen": {"bits": 16}}, TEMPLATE),
    "phase": (["bolt", "--phased"], {"bgen": {"phased": True}}, TEMPLATE),
    "other": (["saige", "--no-bgi"], {"bgen": {"no_bgi": True, "phased": False}}, TEMPLATE),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_given_stands(name, data):
    words, wanted, template = GIVEN[name]
    _, store = data
    view = parse_options(store, "--for", *words, formats=())
    assert view.variant_id_template == template
    for format_name, options in wanted.items():
        given = view.format_options[format_name]
        if options is False:
            assert not given["no_pvar_info"]
        else:
            assert given.items() >= options.items()
    (note,) = view.notes
    assert not [word for word in words if word.startswith("--") and word in note]


def test_a_file_that_a_command_names_is_shown_too(data, biofuse):
    _, store = data
    done = biofuse("run", store, "--for", "plink2", "--", "ls", "{dir}", "{bgen}")
    assert {name for name in done.stdout.split() if "/" not in name} == {
        f"x.{suffix}" for suffix in PGEN | BGEN
    }
    assert "--for plink2 shows .bgen and .pgen and sets" in done.stderr
    said = biofuse.fails("run", store, "--for", "bcftools", "--", "ls", "{bed}")
    assert said.startswith("the .bed does not go with --for bcftools: bcftools reads .bcf, and no")


CONTRADICTIONS = [
    ("regenie", ["--phased"], "--phased does not go with --for regenie: REGENIE reads unphased"),
    ("saige", ["--phased"], "--phased does not go with --for saige: SAIGE reads unphased"),
    ("saige", ["--bits", "16"], "--bits 16 does not go with --for saige: SAIGE reads prob"),
    ("saige", ["--no-header-samples"], "--no-header-samples does not go with --for saige: SAIGE"),
    ("bolt", ["--bits", "16"], "--bits 16 does not go with --for bolt: BOLT-LMM reads"),
    ("bolt", ["--format", "plink2"], "BOLT-LMM reads .bed and .bgen, and no .pgen"),
    ("bolt", ["--dosage", "DS"], "--dosage DS does not go with --for bolt"),
    ("regenie", ["--format", "bcf"], "REGENIE reads .bed, .bgen and .pgen, and no .bcf"),
    ("bcftools", ["--format", "plink"], "bcftools reads .bcf, and no .bed"),
    ("bcftools", ["--phased"], "--phased does not go with --for bcftools"),
    ("regenie", ["--format", "plink", "--bits", "16"], "--bits is for --format bgen"),
    ("bcftools", ["--contig-names", "plink2"], "names plink2 is for .bed, .bgen and .pgen, none"),
    ("regenie", ["--for", "saige"], "--for regenie and --for saige: files are for one program"),
    ("bcftools", ["--multiallelic", "split"], "split is for .bed, .bgen and .pgen, none of which"),
]


@pytest.mark.parametrize(("name", "options", "said"), CONTRADICTIONS, ids=str)
def test_contradictions(name, options, said, data):
    _, store = data
    with pytest.raises((BiofuseError, click.UsageError)) as caught:
        parse_options(store, "--for", name, *options, formats=())
    assert said in str(caught.value)


def test_names_of_contigs_that_something_has(data):
    """That are no contradiction: of files, and of IDs that are made."""
    _, store = data
    for words in (["--per-contig"], ["--variant-id-template", TEMPLATE], ["--format", "plink"]):
        options = ("--format", "bcf", "--contig-names", "plink2", *words)
        assert parse_options(store, *options).contig_names == "plink2"
    assert parse_options(store, "--format", "bcf").contig_names == "plink2"
    named = parse_options(store, "--for", "bcftools", "--contig-names", "store", formats=())
    assert named.contig_names == "store"


FAM_TABLE = "".join(f"0 S{i:04} 0 0 {1 + i % 2} {1 + i % 2}\n" for i in range(23))
TSV_TABLE = "IID\tSEX\ty\n" + "".join(f"S{i:04}\t1\t{i}.5\n" for i in range(23))


@pytest.mark.parametrize(
    ("table", "words", "sixth"),
    [(FAM_TABLE, [], "2"), (TSV_TABLE, ["--pheno-name", "y"], "1.5"), (TSV_TABLE, [], "-9")],
)
def test_the_sample_file_of_saige_has_four_columns(table, words, sixth, data, biofuse, tmp_path):
    """It refuses more; the .fam has the phenotype, and other programs the column."""
    _, store = data
    path = tmp_path / "table"
    path.write_text(table)
    said = "the .sample has no phenotypes, since SAIGE takes its four columns only"
    for name in ("saige", "bolt"):
        options = ("--for", name, "--samples-table", path, *words)
        done = biofuse("export", store, tmp_path / name, *options, "--no-cache")
        lines = (tmp_path / f"{name}.sample").read_text().splitlines()
        more = name == "bolt" and sixth != "-9"
        assert {len(line.split()) for line in lines} == {5 if more else 4}
        assert (tmp_path / f"{name}.fam").read_text().splitlines()[1].split()[5] == sixth
        assert (said in done.stderr) == (name == "saige" and sixth != "-9")


def test_a_phenotype_that_saige_sees_nowhere(data, tmp_path):
    _, store = data
    path = tmp_path / "table"
    path.write_text(TSV_TABLE)
    words = ("--for", "saige", "--samples-table", path, "--pheno-name", "y")
    with pytest.raises(BiofuseError, match=r"--pheno-name is for .*, none of which"):
        parse_options(store, *words, "--format", "bgen", formats=())


@pytest.mark.parametrize("command", ["mount", "export", "plan", "run"])
def test_a_contradiction_ends_every_command(command, data, biofuse):
    _, store = data
    more = {
        "mount": [biofuse.new_directory()],
        "export": [biofuse.home / "out"],
        "plan": ["-o", biofuse.home / "x.plan"],
        "run": ["--", "true"],
    }[command]
    said = biofuse.fails(command, store, "--for", "saige", "--bits", "16", *more)
    assert said == (
        "--bits 16 does not go with --for saige: SAIGE reads probabilities of 8 bits only; leave "
        "out the one or the other"
    )


def test_the_same_in_python(data, tmp_path):
    _, store = data
    with package.open(store, preset="regenie", no_cache=True) as fileset:
        assert {name.removeprefix("x.") for name in fileset.files} == BED | BGEN | PGEN
        assert fileset.warnings[0].startswith("--for regenie shows .bed, .bgen and .pgen and sets")
        raw = fileset.open("x.bgen").read()
        assert {tuple(v.ploidy.tolist()) for v in parse(raw).variants} == {(2,) * 23}
    with package.open(
        store,
        preset="saige",
        haploid_as_diploid=False,
        variant_id_template=".",
        formats="bgen",
        no_cache=True,
    ) as fileset:
        raw = fileset.open("x.bgen").read()
        assert {1, 2} == {p for v in parse(raw).variants for p in v.ploidy.tolist()}
        assert "." in {v.names[1] for v in parse(raw).variants}
    with pytest.raises(BiofuseError, match="--bits 16 does not go with --for bolt"):
        package.open(store, preset="bolt", bits=16, no_cache=True)
    with pytest.raises(BiofuseError, match="there is no preset 'gcta'; there are regenie, saige"):
        package.open(store, preset="gcta", no_cache=True)


def test_an_export_and_a_saved_plan(data, biofuse, tmp_path):
    _, store = data
    done = biofuse("export", store, tmp_path / "x", "--for", "saige", "--format", "bgen")
    assert "biofuse: --for saige sets --unphased --haploid-as-diploid --bits 8" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {f"x.{suffix}" for suffix in BGEN}
    plan = tmp_path / "saved"
    done = biofuse("plan", store, "-o", plan, "--for", "regenie", "-r", "chr2")
    assert "--for regenie shows .bed, .bgen and .pgen and sets --unphased" in done.stderr
    with biofuse.mount(store, "--plan", plan, "--for", "saige") as mount:
        assert shown(mount) == BED | BGEN
        found = parse(Path(f"{mount.stem}.bgen").read_bytes()).variants
        assert {variant.names[2] for variant in found} == {"2"}
    # What was said stands where a mount says nothing of it.
    with biofuse.mount(store, "--plan", plan) as mount:
        found = parse(Path(f"{mount.stem}.bgen").read_bytes()).variants
        assert {p for v in found for p in v.ploidy.tolist()} == {2}
        assert "." not in {v.names[1] for v in found}


def test_a_compressed_export(data, biofuse, tmp_path):
    """The files are those of the preset, compressed as its program reads them."""
    _, store = data
    out = tmp_path / "x"
    biofuse("export", store, out, "--for", "bcftools", "--compress", "zlib")
    assert {path.name for path in tmp_path.iterdir()} == {"x.bcf", "x.bcf.csi"}
    run("bcftools", "view", "-r", "chr2", f"{out}.bcf")
    for name in ("saige", "bolt"):
        said = biofuse.fails("export", store, out, "--for", name, "--compress", "zstd")
        assert "reads zlib only" in said
    for options in (["--no-csi"], ["--format", "bcf"]):
        said = biofuse.fails("export", store, out, *options, "--compress", "zstd:22")
        assert said.startswith("a .bcf is compressed by zlib alone, not with --compress zstd")


def test_a_store_that_one_of_the_formats_cannot_show(biofuse, tmp_path):
    """Formats are those that can show the store, unless a preset has no other."""
    vcf = random_vcf(5, 6, ("0/1/1", "0/0/0"), seed=2)
    _, store = vcf_store(vcf, tmp_path)
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--for", "regenie")
    assert "3 alleles a call" in said
    with biofuse.mount(store, "--for", "bcftools") as mount:
        assert shown(mount) == BCF


def test_presets_name_what_there_is():
    files = {file.name: name for name in formats.NAMES for file in formats.get_format(name).FILES}
    choices = {field.name for field in dataclasses.fields(ViewChoices)}
    assert "preset" in choices
    for name, preset in PRESETS.items():
        assert set(preset.formats) <= set(preset.reads) <= set(formats.NAMES)
        assert set(preset.options) <= set(preset.reads)
        assert preset.commands
        for each in preset.refuses:
            assert each.format in preset.reads
            # It is not what the preset itself sets.
            assert preset.options.get(each.format, {}).get(each.option) != each.value
        for format_name, options in preset.options.items():
            fields = formats.get_format(format_name).Options.__dataclass_fields__
            assert set(options) <= set(fields), name
        named = set(re.findall(r"{(\w+)}", " ".join(preset.commands))) - {"stem"}
        assert {files[each] for each in named} <= set(preset.formats)


@pytest.mark.parametrize("command", ["mount", "run", "export", "plan"])
def test_help_has_the_commands_that_fit(command, biofuse):
    text = biofuse(command, "--help").stdout
    assert "--for [regenie|saige|bolt|plink2|bcftools]" in text
    flat = " ".join(text.replace("\\\n", " ").split())
    stem = {"mount": "mnt/cohort", "export": "out"}.get(command)
    for name, commands in example_commands(stem):
        for line in commands:
            assert f"--for {name}" in flat
            assert " ".join(line.split()) in flat
            assert stem is None or "{" not in line
            assert stem is not None or "{" in line


@pytest.mark.parametrize("name", ["plink2", "bcftools"])
def test_the_commands_of_the_help_run(name, data, biofuse, tmp_path):
    _, store = data
    for line in PRESETS[name].commands:
        words = shlex.split(line)
        done = biofuse("run", store, "--for", name, "--", *words, cwd=tmp_path)
        assert done.stdout
    view = json.loads(biofuse("info", store, "--json").stdout)
    assert view["num_samples"] == 23
