"""What `biofuse` has for Python: its names, its options, its errors."""

import dataclasses
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from support.oracles import Fileset, plink2
from support.stores import make_store, random_genotypes

import biofuse
from biofuse.api.checks import SECONDS, SIZES
from biofuse.api.options import MountOptions, Options
from biofuse.cli import mount
from biofuse.cli.params import Size
from biofuse.errors import BiofuseError

GENOTYPES = random_genotypes(60, 12, seed=3)
PUBLIC = {
    "BiofuseError",
    "Fileset",
    "Mount",
    "MountOptions",
    "Options",
    "ViewFile",
    "mounted",
    "open",
}
METHODS = {
    "Fileset": {
        "close",
        "maker",
        "number_of",
        "open",
        "open_as_of",
        "opening",
        "samples",
    },
    "Mount": {"status"},
}


# Options of the command that are keywords here.
OFFERED = [
    param
    for param in mount.command.params
    if param.type.name != "path" and param.name != "foreground"
]


@pytest.fixture(scope="module")
def store(made):
    return made("api-options", lambda folder: make_store(folder / "x.vcz", GENOTYPES))


def test_public_names():
    assert set(biofuse.__all__) == PUBLIC
    assert set(dir(biofuse)) >= PUBLIC
    for name in PUBLIC:
        found = getattr(biofuse, name)
        assert len(inspect.getdoc(found)) > 40, name
    for name, methods in METHODS.items():
        assert {n for n in vars(getattr(biofuse, name)) if not n.startswith("_")} == methods
    with pytest.raises(AttributeError, match="no attribute 'mount'"):
        _ = biofuse.mount


def test_every_option_of_mount_is_a_keyword():
    mine = {param.name for param in mount.command.params}
    # What of a format goes by its name.
    wanted = {name.rpartition("__")[2] for name in mine}
    wanted -= {"store", "directory", "foreground", "format_names"}
    fields = {field.name for field in dataclasses.fields(MountOptions)}
    assert fields - {"formats"} == wanted
    assert {field.name for field in dataclasses.fields(Options)} < fields
    # And means the same where it is not given.
    defaults = {param.name: param.default for param in mount.command.params}
    for field in dataclasses.fields(MountOptions):
        default = defaults.get(field.name, field.default)
        if isinstance(default, (bool, str, float)) and field.name != "bits":
            assert field.default == default or not default, field.name


@pytest.mark.parametrize(
    "options",
    [
        {"samples": "S0003,S0001"},
        {"samples": ["S0003", "S0001"]},
        {"samples": "^S0000", "force_samples": True},
        {"regions": "1:50-200"},
        {"regions": ["1:50-200", "2"]},
        {"targets": "^2"},
        {"include": "POS>100", "min_alleles": 2},
        {"types": ["snps", "indels"]},
        {"min_ac": 2, "max_af": 0.4},
        {"contig_names": "store"},
        {"min_ac": np.int64(2), "max_af": np.float32(0.5)},
        {"variant_id_template": "@:#"},
    ],
    ids=str,
)
def test_they_mean_what_they_mean_to_mount(options, store, biofuse):
    words = ["--format", "plink"]
    for name, value in options.items():
        text = ",".join(value) if isinstance(value, list) else str(value)
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [text])]
    with biofuse.mount(store, *words) as mount:
        expected = mount.fileset()
    import biofuse as package

    with package.open(store, formats="plink", no_cache=True, **options) as fileset:
        texts = [fileset.open(f"x.{suffix}").read() for suffix in ("bed", "bim", "fam")]
        assert Fileset(texts[0], texts[1].decode(), texts[2].decode()) == expected
        assert fileset.num_variants == len(expected.bim.splitlines())
        ids = [line.split()[1] for line in expected.fam.splitlines()]
        assert list(fileset.samples) == ids
        assert fileset.num_samples == len(ids)


def test_files_of_samples_and_regions(store, tmp_path):
    (tmp_path / "keep").write_text("S0004\nS0002\n")
    (tmp_path / "regions").write_text("1\t50\t200\n")
    with biofuse.open(
        store, samples_file=tmp_path / "keep", regions_file=tmp_path / "regions", no_cache=True
    ) as fileset:
        assert fileset.samples == ("S0004", "S0002")
        assert 0 < fileset.num_variants < 60


def test_a_dataclass_of_options(store):
    options = biofuse.Options(formats="plink", basename="a", no_cache=True)
    with biofuse.open(store, options) as fileset:
        assert list(fileset) == ["a.bed", "a.bim", "a.fam"]
    with biofuse.open(store, options, no_bim=True, basename="b") as fileset:
        assert list(fileset.files) == ["b.bed", "b.fam"]
        assert "b.bed" in fileset and "b.bim" not in fileset


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": "nobody"}, "nobody"),
        ({"regions": "7"}, "no contig '7'"),
        ({"formats": "pgen2"}, "formats='pgen2' is not one of 'plink', 'bgen'"),
        ({"bits": 7}, "bits=7 is not one of 8, 16"),
        ({"multiallelic": "splitting"}, "multiallelic='splitting'"),
        ({"memory": "1KiB"}, "memory=1KiB is below"),
        ({"memory": "many"}, "'many' is not a size"),
        ({"memory": float("inf")}, "memory=inf: a size such as 512MiB is wanted"),
        ({"memory": 10**30}, ": a size such as 512MiB is wanted"),
        ({"memory": "9" * 30}, "more than any machine has"),
        ({"chunk_cache": "x", "chunk_cache_size": -1}, "chunk_cache_size=-1: a size such as"),
        ({"threads": 2.5}, "threads=2.5: a whole number, 1 to 64, is wanted"),
        ({"threads": "x"}, "threads='x': a whole number"),
        ({"threads": True}, "threads=True: a whole number"),
        ({"timeout": 0}, "timeout=0: a number of seconds, 0.1 or more, is wanted"),
        ({"timeout": float("nan")}, "timeout=nan: a number of seconds"),
        ({"no_bim": "yes"}, "no_bim='yes': True or False is wanted"),
        ({"samples": b"north001"}, "samples=b'north001': text, or a list of it, is wanted"),
        ({"samples": []}, "samples=[]: a list of one at least, or None, is wanted"),
        ({"samples": ["S0001", 2]}, "samples=['S0001', 2]: text"),
        ({"regions": 5}, "regions=5: text, or a list of it, is wanted"),
        ({"max_alleles": "x"}, "max_alleles='x': a whole number is wanted"),
        ({"min_ac": 2.5}, "min_ac=2.5: a whole number, or text such as '3:minor', is wanted"),
        ({"min_af": b"1"}, "min_af=b'1': a number, or text such as"),
        ({"plan": 5}, "plan=5: a path is wanted"),
        ({"include": 5}, "include=5: text is wanted"),
        ({"formats": 5}, "formats=5: text, or a list of it"),
        ({"multiallelic": None}, "multiallelic=None: text is wanted"),
        ({"storage_options": {"secret_key": b"key"}}, "storage_options: a mapping of names"),
        ({"storage_options": "key=value"}, "storage_options: a mapping of names"),
        ({"options": "plink"}, "options='plink': a biofuse.Options is wanted"),
        ({"threads": 0}, "threads=0"),
        ({"formats": "plink", "bits": 16}, "--bits"),
        ({"chunk_cache_size": 7}, "goes with"),
        ({"regions": "1", "regions_file": "x"}, "cannot be given together"),
        ({"samples_file": "/nowhere"}, "/nowhere"),
        ({"basename": "a/b"}, "is not a file name"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(options, words, store):
    with pytest.raises(BiofuseError) as caught:
        biofuse.open(store, no_cache=True, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.errno, int)
    # Nothing of what is inside.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"allocator": "foo"}, "allocator='foo' is not one of 'system', 'jemalloc'"),
        ({"read_ahead_kb": -1}, "read_ahead_kb=-1: a whole number, 0 to 65536, is wanted"),
        ({"readahead_workers": -1}, "readahead_workers=-1: a whole number, 0 or more, is wanted"),
        ({"idle_timeout": 0.05}, "idle_timeout=0.05: a number of seconds"),
        ({"direct_io": "plink2"}, "direct_io='plink2': a list of text is wanted"),
        ({"metrics": -1}, "-1"),
        ({"metrics": 2.5}, "metrics=2.5: a port, or the path of a socket, is wanted"),
        ({"log_level": "loud"}, "log_level='loud' is not one of"),
        ({"directory": 5}, "directory=5: a path or URL is wanted"),
        ({"options": {}}, "options={}: a biofuse.MountOptions is wanted"),
    ],
    ids=str,
)
def test_mistakes_of_mounts_are_one_line(options, words, store):
    with pytest.raises(BiofuseError) as caught:
        biofuse.mounted(store, **options).__enter__()
    assert words in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize("param", OFFERED)
def test_what_the_command_refuses_is_refused(param):
    """At the ends of what it takes, where there are ends."""
    kind = param.type
    name = param.name.rpartition("__")[2]
    if isinstance(kind, click.Choice) and name != "preset":
        name = {"format_names": "formats"}.get(name, name)
        refused, taken = ["nothing"], kind.choices[:1]
    elif isinstance(kind, (click.IntRange, click.FloatRange)):
        refused, taken = [kind.min - 0.01 if name in SECONDS else kind.min - 1], [kind.min]
        if kind.max is not None:
            refused, taken = [*refused, kind.max + 1], [*taken, kind.max]
    elif isinstance(kind, Size):
        least = SIZES[name]
        refused, taken = [least - 1, "x", 1 << 61], [least, "1GiB"]
    else:
        refused, taken = [object()], []
    for value in refused:
        with pytest.raises((click.BadParameter, BiofuseError)):
            kind.convert(str(value), None, None) if taken else MountOptions(**{name: value})
        if name != "preset":
            with pytest.raises(BiofuseError):
                MountOptions(**{name: value})
    for value in taken:
        made = kind.convert(str(value), None, None)
        MountOptions(**{name: int(made) if name == "bits" else made})


def test_no_name_of_a_store():
    with pytest.raises(BiofuseError, match="store=5: a path or URL is wanted"):
        biofuse.open(5)


def test_a_keyword_that_is_not_known(store):
    with pytest.raises(TypeError, match="no option region; did you mean regions"):
        biofuse.open(store, region="1")


def test_no_store(tmp_path):
    with pytest.raises(BiofuseError, match="no such store"):
        biofuse.open(tmp_path / "nowhere.vcz")


def test_nothing_is_left(store, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with biofuse.open(store, no_cache=True) as fileset:
            fileset.open("x.bed").read()
            fileset.open("x.fam").read()
            # The plan is gone already, but for what is open.
            assert list(tmp_path.iterdir()) == []
        with pytest.raises(ValueError, match="closed"):
            fileset.open("x.bed")
    del fileset
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_a_plan_is_kept_and_used(store, tmp_path):
    for _ in range(2):
        with biofuse.open(store, formats="plink", cache_dir=tmp_path / "plans") as fileset:
            assert fileset.open("x.bed").read(3) == b"\x6c\x1b\x01"
    assert len(list((tmp_path / "plans").rglob("plan.json"))) == 1


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_what_is_imported(store):
    """To import it, next to nothing; to open, neither FUSE, nor zarr, nor what commands want."""
    heavy = run("import sys, biofuse; print([m for m in sys.modules if m.startswith('biofuse.')])")
    assert heavy.strip() == "[]"
    code = (
        "import sys, biofuse\n"
        "with biofuse.open(sys.argv[1], no_cache=True) as fileset:\n"
        "    fileset.open('x.bed').read()\n"
        "    found = sorted(sys.modules)\n"
        "import json; print(json.dumps(found))\n"
    )
    found = set(json.loads(run(code, store)))
    assert not [name for name in found if name.startswith("biofuse.fuse")]
    assert not found & {"zarr", "vcztools", "click", "rich", "fsspec"}


def test_a_mount_for_a_while(store, biofuse, monkeypatch):
    import biofuse as package

    for name, value in biofuse.env.items():
        monkeypatch.setenv(name, value)
    with package.mounted(store, formats="plink", basename="y") as mount:
        assert list(mount.files) == ["y.bed", "y.bim", "y.fam"]
        plink2("--bfile", mount.stem, "--freq", "--allow-extra-chr", "--out", biofuse.home / "out")
        assert mount.status()["counters"]["errors"] == 0
        directory = mount.directory
    assert not os.path.exists(directory)
    place = biofuse.new_directory()
    with package.mounted(store, place, options=package.Options(no_cache=True)) as mount:
        assert (place / "x.bed").exists()
        assert mount.directory == str(place)
    assert list(place.iterdir()) == []
    with pytest.raises(BiofuseError, match="does not exist"):
        package.mounted(store, biofuse.home / "nowhere").__enter__()


def test_a_mount_of_which_a_read_fails(tmp_path, biofuse, monkeypatch):
    import biofuse as package

    for name, value in biofuse.env.items():
        monkeypatch.setenv(name, value)
    store = make_store(tmp_path / "bad.vcz", random_genotypes(200, 50, seed=7), chunks=(50, 25))
    with (
        pytest.raises(BiofuseError, match="cannot be trusted"),
        package.mounted(store, no_cache=True) as mount,
    ):
        chunk = store / "call_genotype" / "2.1.0"
        chunk.write_bytes(chunk.read_bytes()[:40])
        with pytest.raises(OSError, match="Stale"):
            Path(mount.files["bad.bed"]).read_bytes()
