"""`--samples-table`, `--pheno-name` and `--genetic-map` in every command, in Python, in plans."""

import dataclasses
import inspect
import os
import subprocess
from pathlib import Path

import distributed
import fsspec
import pytest
from support.program import wait_until
from support.stores import make_store, random_genotypes
from support.views import make_files, parse

import biofuse
from biofuse.options import ViewOptions

GENOTYPES = random_genotypes(60, 12, seed=3)
TABLE = "IID\tSEX\tBMI\n" + "".join(f"S{i:04d}\t{i % 2 + 1}\t{i}.5\n" for i in range(9))
MAP = "chr pos rate cM\n1 1 0 0\n1 100000 0 1\n2 1 0 5\n"
SAID = "has 9 of 12 samples: 5 male, 4 female, 3 of unknown sex"
SUFFIXES = (".bed", ".bim", ".fam", ".bgen", ".bgen.bgi", ".sample", ".pgen", ".pvar", ".psam")
FORMATS = ("--format", "plink", "--format", "bgen", "--format", "plink2")


@pytest.fixture(scope="module")
def store(made):
    return made("everywhere", lambda folder: make_store(folder / "x.vcz", GENOTYPES))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with a table and a map."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "t.tsv").write_text(TABLE)
    (folder / "m.txt").write_text(MAP)
    return folder


@pytest.fixture(scope="module")
def expected(store, files, tmp_path_factory) -> dict[str, bytes]:
    """By suffix, what files should be; which other tests compare with plink2's."""
    folder = tmp_path_factory.mktemp("expected") / "made"
    stem = make_files(store, folder, *options_of(files), *FORMATS)
    found = {suffix: Path(f"{stem}{suffix}").read_bytes() for suffix in SUFFIXES}
    assert b"\t1\t0.5\n" in found[".fam"]
    assert b"\t5\t" in found[".bim"]
    # Which has the time of the mount.
    del found[".bgen.bgi"]
    return found


def options_of(files: Path) -> tuple:
    names = ("--samples-table", files / "t.tsv", "--pheno-name", "BMI")
    return (*names, "--genetic-map", files / "m.txt")


def contents(folder: Path, stem: str = "x") -> dict[str, bytes]:
    found = {path.name.removeprefix(stem): path.read_bytes() for path in folder.iterdir()}
    found.pop(".bgen.bgi", None)
    return found


def test_mount(store, files, expected, biofuse):
    directory = biofuse.new_directory()
    done = biofuse("mount", store, directory, *options_of(files), *FORMATS)
    assert f"biofuse: {files / 't.tsv'} {SAID}\n" in done.stderr
    assert contents(directory) == expected
    biofuse("umount", directory)


def test_mount_plink_and_mount_bgen(store, files, expected, biofuse):
    table = ("--samples-table", files / "t.tsv", "--pheno-name", "BMI")
    cases = (
        ("mount-plink", (*table, "--genetic-map", files / "m.txt"), (".bim", ".fam")),
        ("mount-bgen", table, (".sample",)),
    )
    for command, options, suffixes in cases:
        directory = biofuse.new_directory()
        process = biofuse.popen(command, store, directory, *options)
        try:
            while SAID not in process.stderr.readline():
                assert process.poll() is None
            wait_until(lambda at=directory: os.listdir(at), "the files are there")
            found = contents(directory)
            assert {s: found[s] for s in suffixes} == {s: expected[s] for s in suffixes}
        finally:
            biofuse("umount", directory)
            process.communicate()


@pytest.mark.parametrize("how", [(), ("--without-fuse",)], ids=["mount", "copies"])
def test_run(how, store, files, expected, biofuse, tmp_path):
    """In another folder, with names relative to it."""
    options = ("--samples-table", "t.tsv", "--pheno-name", "BMI", "--genetic-map", "m.txt")
    words = ("sh", "-c", "cat {fam} {bim} {psam} {pvar} {sample}")
    done = biofuse("run", store, *options, *FORMATS, *how, "--", *words, cwd=files)
    names = (".fam", ".bim", ".psam", ".pvar", ".sample")
    assert done.stdout == b"".join(expected[name] for name in names).decode()
    assert SAID in done.stderr


def test_run_of_a_command_that_uses_one_format(store, files, expected, biofuse):
    """Where a folder of copies has nothing but that, which needs no map."""
    words = ("--without-fuse", "--", "cat", "{sample}")
    done = biofuse("run", store, *options_of(files), *words)
    assert done.stdout == expected[".sample"].decode()


def test_export(store, files, expected, biofuse, tmp_path):
    biofuse("export", store, f"{tmp_path}/x", *options_of(files), *FORMATS)
    assert contents(tmp_path) == expected


def test_export_by_a_cluster(store, files, expected, biofuse, tmp_path):
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        options = (*options_of(files), *FORMATS, "--dask", cluster.scheduler_address)
        biofuse("export", store, f"{tmp_path}/x", *options)
    assert contents(tmp_path) == expected


def test_saved_plans(store, files, expected, biofuse, tmp_path):
    """A saved plan has them, and shows them unless told of others."""
    plan = tmp_path / "x.plan"
    made = biofuse("plan", store, "-o", plan, *options_of(files), *FORMATS)
    assert made.stdout.startswith(f"made {plan}")
    (tmp_path / "out").mkdir()
    biofuse("export", store, f"{tmp_path}/out/x", "--plan", plan, *FORMATS)
    assert contents(tmp_path / "out") == expected
    (tmp_path / "other.tsv").write_text("IID\tSEX\nS0003\t2\n")
    other = ("--samples-table", tmp_path / "other.tsv", "--format", "plink")
    biofuse("export", store, f"{tmp_path}/o", "--plan", plan, *other)
    rows = [line.split("\t") for line in (tmp_path / "o.fam").read_text().splitlines()]
    assert rows[3][4:] == ["2", "-9"]
    assert (tmp_path / "o.bim").read_bytes() == expected[".bim"]
    # Of the table that it has.
    biofuse("export", store, f"{tmp_path}/p", "--plan", plan, "--pheno-name", "BMI")
    assert (tmp_path / "p.fam").read_bytes() == expected[".fam"]


def test_a_plan_of_a_version_that_knew_no_tables(store):
    """Its options have none."""
    text = parse(store).to_json()
    assert '"samples_table": null' in text
    for name in ('"samples_table": null, ', '"genetic_map": [], ', '"pheno_names": [], '):
        assert name in text
        text = text.replace(name, "")
    assert ViewOptions.from_json(text) == parse(store)


def test_python(store, files, expected):
    keywords = {
        "samples_table": files / "t.tsv",
        "pheno_name": ["BMI"],
        "genetic_map": files / "m.txt",
        "formats": ["plink", "bgen", "plink2"],
        "no_cache": True,
    }
    with biofuse.open(store, **keywords) as fileset:
        found = {
            name.removeprefix("x"): fileset.open(name).read()
            for name in fileset.files
            if not name.endswith(".bgi")
        }
        assert found == expected
        assert any(SAID in line for line in fileset.warnings)
    text = str(inspect.getdoc(biofuse.Options))
    assert all(f"{name} :" in text for name in ("samples_table", "pheno_name", "genetic_map"))


def test_fsspec(store, files, expected):
    keywords = {"samples_table": str(files / "t.tsv"), "pheno_name": "BMI", "no_cache": True}
    with fsspec.open(f"biofuse://{store}/x.fam", **keywords) as file:
        assert file.read() == expected[".fam"]


def test_pipes(store, files, expected, biofuse, tmp_path):
    """What can be read once: standard input, and what a shell's <(...) names."""
    program = " ".join(biofuse.command("export", store, f"{tmp_path}/x", "--format", "plink"))
    more = f"--pheno-name BMI --genetic-map <(gzip -c {files}/m.txt)"
    text = f"cat {files}/t.tsv | {program} --samples-table - {more}"
    subprocess.run(["bash", "-c", text], env=biofuse.env, check=True, capture_output=True)
    assert contents(tmp_path)[".fam"] == expected[".fam"]
    assert contents(tmp_path)[".bim"] == expected[".bim"]


def test_errors_in_a_command(store, files, biofuse, tmp_path):
    directory = biofuse.new_directory()
    (tmp_path / "t.tsv").write_text("IID\tSEX\nS0001\tx\n")
    line = biofuse.fails("mount", store, directory, "--samples-table", tmp_path / "t.tsv")
    assert line.startswith(f"the sex in line 2 of {tmp_path}/t.tsv is 'x'")
    line = biofuse.fails("mount", store, directory, "--samples-table", tmp_path / "none")
    assert "cannot read" in line
    assert "No such file" in line


def digest(store, *options) -> str:
    return parse(store, *options).digest("1")


def test_a_plan_is_of_what_files_say(store, files, tmp_path):
    plain = digest(store)
    table, genetic_map = tmp_path / "t.tsv", tmp_path / "m.txt"
    table.write_text(TABLE)
    genetic_map.write_text(MAP)
    options = ("--samples-table", table, "--genetic-map", genetic_map)
    one = digest(store, *options)
    assert one != plain
    assert digest(store, *options) == one
    assert digest(store, *options, "--pheno-name", "BMI") != one
    table.write_text(TABLE.replace("0.5", "0.6"))
    two = digest(store, *options)
    assert two not in (one, plain)
    genetic_map.write_text(MAP.replace("5", "6"))
    assert digest(store, *options) not in (one, two, plain)


def test_a_view_with_a_table_is_not_the_plain_one(store, files):
    view = parse(store, *options_of(files))
    assert not view.is_plain
    assert parse(store).is_plain
    assert dataclasses.replace(view, samples_table=None, pheno_names=[], genetic_map=[]).is_plain


def test_a_changed_table_makes_another_plan(store, files, biofuse, tmp_path):
    """And one that is as it was has the plan that was kept."""
    table = tmp_path / "t.tsv"
    table.write_text(TABLE)
    options = ("--samples-table", table, "--format", "plink")
    found = []
    for text in (TABLE, TABLE, TABLE.replace("S0000\t1", "S0000\t2"), TABLE):
        table.write_text(text)
        with biofuse.mount(store, *options) as mount:
            found.append((mount.fam.read_text().split("\t")[4], mount.fam.stat().st_mtime_ns))
    plans = list(biofuse.cache.rglob("plan.json"))
    assert len(plans) == 2
    assert [sex for sex, _ in found] == ["1", "1", "2", "1"]
    assert found[0] == found[1] == found[3]


def test_a_kept_plan_says_how_many_matched(store, files, biofuse, tmp_path):
    for _ in range(2):
        done = biofuse("run", store, "--samples-table", files / "t.tsv", "--", "true")
        assert SAID in done.stderr
