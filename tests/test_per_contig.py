"""`--per-contig`: a fileset for each contig, whose files are those of a selection of it."""

import os
import subprocess
import sys

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bgen import bgenix, listed
from support.multiallelic import write_vcf
from support.oracles import plink2, run
from support.places import consolidated
from support.reads import read_uncached
from support.stores import convert, copy_store, make_store, random_genotypes
from support.views import make_files, open_fast_path, plan_view
from test_engine import prepare

import biofuse as api
from biofuse.errors import BiofuseError
from biofuse.formats.chromosome import name_in_files
from biofuse.plan.filesets import contig_stem

ALL = ("--format", "plink", "--format", "bgen", "--format", "plink2", "--format", "bcf")
SUFFIXES = (".bed", ".bim", ".fam", ".bgen", ".bgen.bgi", ".sample", ".pgen", ".pvar", ".psam")
CONTIGS = ("chr1", "chr2", "chrX", "HLA-A*01:01", "NC_000001.11")


def with_contigs(folder, names=CONTIGS, num_variants=103):
    """A store whose variants lie in all of these."""
    genotypes = np.maximum(random_genotypes(num_variants, 23, seed=4), -1)
    store = make_store(folder / "x.vcz", genotypes, chunks=(10, 9), contigs=names)
    root = zarr.open_group(store, mode="r+")
    del root["variant_contig"]
    contig = root.create_array("variant_contig", shape=num_variants, dtype="int16", chunks=10)
    contig.attrs["_ARRAY_DIMENSIONS"] = ["variants"]
    contig[:] = np.sort(np.arange(num_variants) % len(names))
    return store


@pytest.fixture
def store(made):
    return made("per-contig", with_contigs)


@pytest.mark.parametrize("more", [(), ("-i", "POS>100"), ("-s", "S0003,S0001")])
def test_files_are_those_of_a_selection(more, store, tmp_path):
    words = [*ALL[:6], *more]
    made = make_files(store, tmp_path / "made", "--per-contig", *words)
    names = {path.name for path in made.parent.iterdir() if path.is_file()}
    expected = set()
    for contig in CONTIGS:
        shown = contig.removeprefix("chr")
        # The contig's name has colons in it.
        chosen = [*words, "-i", f"CHROM='{contig}'" + (f" && {more[1]}" if "-i" in more else "")]
        stem = f"x_{name_in_files(shown)}"
        alone = make_files(store, tmp_path / stem, *chosen, "--basename", stem)
        for suffix in SUFFIXES:
            name = f"{stem}{suffix}"
            expected.add(name)
            found = (made.parent / name).read_bytes()
            wanted = (alone.parent / name).read_bytes()
            if suffix == ".bgen.bgi":
                # Times of the file and the like are not in it but for its name.
                assert len(found) == len(wanted)
            else:
                assert found == wanted, name
    assert names == expected


def test_bcf_of_each_contig(tmp_path):
    vcf = write_vcf(tmp_path / "x.vcf", 60, 7)
    store = convert(vcf, tmp_path / "x.vcz", variants_chunk_size=9)
    with api.open(store, formats="bcf", per_contig=True) as files:
        assert sorted(files.files) == [
            *("x_1.bcf", "x_1.bcf.csi", "x_2.bcf", "x_2.bcf.csi"),
        ]
        for name in files.files:
            with files.open(name) as file:
                (tmp_path / name).write_bytes(file.read())
    text = run("bcftools", "view", "-H", vcf)
    for contig in "12":
        path = tmp_path / f"x_{contig}.bcf"
        columns = r"%CHROM\t%POS\t%REF\t%ALT\t%FILTER[\t%GT]\n"
        wanted = [
            line
            for line in run("bcftools", "query", "-f", columns, vcf).splitlines()
            if line.startswith(f"{contig}\t")
        ]
        assert run("bcftools", "query", "-f", columns, path).splitlines() == wanted
        some = run("bcftools", "query", "-f", columns, "-r", f"{contig}:100-300", path)
        assert some.splitlines() == [x for x in wanted if 100 <= int(x.split("\t")[1]) <= 300]
    assert text.count("\n") == 60


def test_what_plink2_keeps_of_a_chromosome(store, biofuse, tmp_path):
    with biofuse.mount(store, "--format", "plink2", "--format", "plink") as mount:
        for name in ("2", "X"):
            plink2(
                *("--bfile", mount.stem, "--chr", name, "--allow-extra-chr", "--make-bed"),
                *("--out", tmp_path / f"real_{name}"),
            )
    template = "{stem}.chr{contig}"
    with biofuse.mount(store, "--format", "plink", "--name-template", template) as mount:
        assert len(list(mount.dir.iterdir())) == 3 * len(CONTIGS)
        for name in ("2", "X"):
            for suffix in (".bed", ".bim", ".fam"):
                path = mount.dir / f"x.chr{name}{suffix}"
                assert path.read_bytes() == (tmp_path / f"real_{name}{suffix}").read_bytes()
            real = (tmp_path / f"real_{name}.bed").read_bytes()
            with open(mount.dir / f"x.chr{name}.bed", "rb") as file:
                assert read_uncached(file.fileno(), 7, 20) == real[7:27]


def test_samples_are_written_once(store, tmp_path):
    plan = plan_view(store, tmp_path / "plan", "--per-contig", *ALL[:4])
    for suffix in (".fam", ".sample"):
        paths = {each.path for each in plan.static if each.name.endswith(suffix)}
        assert len(paths) == 1
    shared = {(each.variants, each.alts) for each in plan.streamed}
    assert shared == {(None, None)}
    split = {each.first for each in plan.streamed}
    assert len(split) == len(CONTIGS)


def test_one_contig_is_one_fileset(store, tmp_path):
    made = make_files(store, tmp_path / "made", "--per-contig", "-r", "chr2")
    assert sorted(os.listdir(made.parent)) == ["plan", "x_2.bed", "x_2.bim", "x_2.fam"]


def test_contigs_that_come_again(tmp_path):
    store = with_contigs(tmp_path, ("1", "2"), 12)
    zarr.open_group(store, mode="r+")["variant_contig"][:] = [0] * 4 + [1] * 4 + [0] * 4
    with pytest.raises(BiofuseError, match=r"contig 1 come again .* without --per-contig"):
        plan_view(store, tmp_path / "plan", "--per-contig")


def test_names_with_slashes(tmp_path):
    """A slash cannot be in a file's name; two contigs may not have files of one name."""
    store = with_contigs(tmp_path, ("a/b", "c"), 12)
    made = make_files(store, tmp_path / "made", "--per-contig")
    assert made.with_name("x_a_b.bed").exists()
    assert made.with_name("x_a_b.bim").read_text().startswith("a/b\t")
    assert contig_stem("{stem}-{contig}", "y z", "a/b\n") == "y z-a_b_"
    assert name_in_files("HLA-A*01:01") == "HLA-A_01_01"
    assert name_in_files("NC_000001.11é") == "NC_000001.11é"
    (tmp_path / "other").mkdir()
    store = with_contigs(tmp_path / "other", ("a/b", "a_b"), 12)
    with pytest.raises(BiofuseError, match="'a/b' and 'a_b' would have files of one name"):
        plan_view(store, tmp_path / "plan", "--per-contig")


def test_long_names(tmp_path):
    store = with_contigs(tmp_path, ("1", "c" * 252), 12)
    with pytest.raises(BiofuseError, match="a name of 258 bytes, and 255 is the most"):
        plan_view(store, tmp_path / "plan", "--per-contig")


@pytest.mark.parametrize("template", ["{stem}", "a/{contig}", "{contig}{x}", "{contig!r}"])
def test_templates_that_name_no_file(template, store, biofuse):
    said = biofuse.fails(
        "mount", store, biofuse.new_directory(), "--per-contig", "--name-template", template
    )
    assert said.startswith("--name-template ") and "as in '{stem}_{contig}'" in said


def test_nothing_selected(store, biofuse):
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--per-contig", "-i", "POS<0")
    assert "the view has no variants" in said


def test_run_names_a_contigs_files(store, biofuse, tmp_path):
    script = """
        printf "%s\n" "$@"; echo "$BIOFUSE_CONTIGS"
        for c in {contigs}; do wc -c < {stem}_$c.bed; done
    """
    words = ["{bed:2}", "{bed:chr2}", "{bim:HLA-A*01:01}", "{stem:X}", "{dir}"]
    done = biofuse("run", store, "--per-contig", "--", "sh", "-c", script, "sh", *words)
    lines = done.stdout.splitlines()
    folder = lines[4]
    assert lines[:4] == [
        f"{folder}/{name}" for name in ("x_2.bed", "x_2.bed", "x_HLA-A_01_01.bim", "x_X")
    ]
    assert lines[5].split() == [name_in_files(name.removeprefix("chr")) for name in CONTIGS]
    sizes = np.bincount(np.sort(np.arange(103) % 5)) * 6 + 3
    assert list(map(int, lines[6:])) == sizes.tolist()


def test_names_that_mean_something_to_a_shell(tmp_path, biofuse):
    """A store's contigs are words of a loop, whatever they are, and run nothing."""
    names = ("c/d", "x;id", "*", "$(id)", "a`id`", "q'q", 'p"', "[a-z]", "~u", "\\t")
    store = with_contigs(tmp_path, names)
    script = "for c in {contigs}; do ls {stem}_$c.bed; done; set -- $BIOFUSE_CONTIGS; echo $#; ls"
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "file").touch()
    words = ("--per-contig", "--format", "plink", "--", "sh", "-c", f"{script}; echo {{bed:c/d}}")
    *files, count, there, named = biofuse("run", store, *words, cwd=folder).stdout.splitlines()
    found = [os.path.basename(path) for path in files]
    assert found == [f"x_{name_in_files(name)}.bed" for name in names]
    assert found[:3] == ["x_c_d.bed", "x_x_id.bed", "x__.bed"]
    assert (count, there, named) == (str(len(names)), "file", files[0])
    done = biofuse("run", store, *words[:3], "--", "echo", "{bim:c_d}", "{bim:[a-z]}")
    assert [os.path.basename(path) for path in done.stdout.split()] == ["x_c_d.bim", "x__a-z_.bim"]


def test_contigs_in_the_order_of_sites(tmp_path, biofuse):
    """Which names of files do not tell, nor what of them is the contig."""
    names = ("10", "a_a", "2", "a")
    store = with_contigs(tmp_path, names)
    words = ("--name-template", "{contig}_{contig}")
    done = biofuse("run", store, *words, "--", "echo", "{contigs}", "{bed:a}", "{bed:a_a}")
    assert done.stdout.split()[:4] == list(names)
    paths = [os.path.basename(path) for path in done.stdout.split()[4:]]
    assert paths == ["a_a.bed", "a_a_a_a.bed"]
    with api.open(store, formats="plink", name_template="{contig}_{contig}") as files:
        assert list(files.contigs.items()) == [(name, f"{name}_{name}") for name in names]
    with api.mounted(store, formats="plink", per_contig=True) as mount:
        for contig, stem in mount.contigs.items():
            assert mount.files[f"x_{contig}.bed"] == f"{stem}.bed"
        assert list(mount.contigs) == list(names)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--per-contig", "--", "cat", "{bed}"], "there is a {bed} for each contig with --per-con"),
        (["--", "cat", "{bed:2}"], "{bed:2} is for --per-contig"),
        (["--", "echo", "{contigs}"], "{contigs} is for --per-contig"),
        (["--per-contig", "--", "cat", "{bed:9}"], "there is no {bed:9}: contigs are 1, 2, "),
    ],
)
def test_names_that_there_are_not(words, said, store, biofuse):
    assert said in biofuse.fails("run", store, *words)


def test_export(store, biofuse, tmp_path):
    (tmp_path / "out").mkdir()
    biofuse("export", store, tmp_path / "out" / "y", "--per-contig", "--format", "plink")
    names = sorted(os.listdir(tmp_path / "out"))
    assert len(names) == 3 * len(CONTIGS) and "y_2.bed" in names
    made = make_files(store, tmp_path / "made", "--per-contig", "--basename", "y")
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (made.parent / name).read_bytes()


def test_from_one_saved_plan(store, biofuse, tmp_path):
    biofuse("plan", store, "-o", tmp_path / "x.plan")
    with biofuse.mount(store, "--plan", tmp_path / "x.plan", "--per-contig") as mount:
        assert len(list(mount.dir.glob("*.bed"))) == len(CONTIGS)
        subprocess.run(["cmp", mount.dir / "x_1.fam", mount.dir / "x_X.fam"], check=True)


def _read(fast, file: int, offset: int, size: int) -> bytes:
    while not isinstance(found := fast.engine.read(file, offset, size), bytes):
        assert fast.give(found), (found.array, found.chunk_row)
    return found


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_bytes_of_the_engine(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    num_variants = data.draw(st.integers(5, 60))
    store = with_contigs(folder, CONTIGS[: data.draw(st.integers(1, 5))], num_variants)
    chosen = [] if data.draw(st.booleans()) else ["-i", "ID!='.' && POS>30"]
    words = ("--per-contig", *ALL[:6], *chosen)
    try:
        made = make_files(store, folder / "made", *words)
    except BiofuseError as error:
        assert "the view has no variants" in str(error)
        return
    plan = plan_view(store, folder / "plan", *words)
    fast = open_fast_path(plan, folder / "plan", data.draw(st.sampled_from([4 << 20, 64 << 20])))
    for _ in range(8):
        file = data.draw(st.integers(0, len(plan.streamed) - 1))
        whole = (made.parent / plan.streamed[file].name).read_bytes()
        offset = data.draw(st.integers(0, len(whole) + 3))
        size = data.draw(st.integers(0, len(whole) + 3))
        for start in (offset, offset + size):
            assert _read(fast, file, start, size) == whole[start : start + size]
        if data.draw(st.booleans()):
            prepare(fast)


@pytest.mark.parametrize("place", ["s3", "http"])
def test_stores_at_a_distance(place, store, tmp_path, placer, biofuse):
    """And reads go on from one contig's file to another's as anybody's do."""
    made = make_files(store, tmp_path / "made", "--per-contig", "-i", "ID!='.'")
    there = placer.put(place, consolidated(copy_store(store, tmp_path / "x.vcz")))
    words = ("--per-contig", "--format", "plink", "-i", "ID!='.'")
    with there.mount(biofuse, *words) as mount:
        names = sorted(path.name for path in mount.dir.glob("*.bed"))
        assert len(names) == len(CONTIGS)
        for name in names:
            assert (mount.dir / name).read_bytes() == (made.parent / name).read_bytes()


def test_more_files_than_are_usually_open(tmp_path, biofuse):
    store = with_contigs(tmp_path, [f"c{i}" for i in range(60)], 120)
    words = ("--per-contig", "--format", "plink", "--format", "bgen", "--", "sh", "-c")
    command = biofuse.command("run", store, *words, "cat {dir}/*.bgen | wc -c; ls {dir} | wc -l")
    limited = ["sh", "-c", 'ulimit -Sn 100; exec "$@"', "sh", *command]
    done = subprocess.run(limited, env=biofuse.env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout.split()[0]) > 60 * 100
    assert int(done.stdout.split()[1]) == 60 * 6


def limited(limit: int, command: list[str]) -> list[str]:
    """A command that, with what it starts, may have so many files open."""
    return ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *map(str, command)]


@pytest.mark.slow
def test_a_thousand_contigs(tmp_path, biofuse):
    """With as many files open as users may have where nobody has allowed more."""
    names = [f"ctg{i}" for i in range(1100)]
    store = with_contigs(tmp_path, names, 2400)
    script = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"
    words = ("--per-contig", *ALL, "--", sys.executable, "-c", script, "{dir}", tmp_path / "out")
    done = subprocess.run(
        limited(1024, biofuse.command("run", store, *words)),
        env=biofuse.env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert len(os.listdir(out)) == len(names) * (len(SUFFIXES) + 2)
    whole = make_files(store, tmp_path / "whole", *ALL[:6])
    for suffix, header in ((".bed", 3), (".bim", 0), (".pgen", 12)):
        parts = [(out / f"x_{name}{suffix}").read_bytes()[header:] for name in names]
        assert b"".join(parts) == whole.with_suffix(suffix).read_bytes()[header:]
    for name in (names[0], names[700], names[-1]):
        stem = out / f"x_{name}"
        real = (out / f"x_{name}.bed").read_bytes()
        sources = (
            ("--bcf", f"{stem}.bcf", "--vcf-half-call", "missing"),
            ("--bgen", f"{stem}.bgen", "ref-first", "--sample", f"{stem}.sample"),
            ("--pfile", stem),
        )
        for source in sources:
            plink2(*source, "--allow-extra-chr", "--make-bed", "--out", tmp_path / "real")
            assert (tmp_path / "real.bed").read_bytes() == real
        count = (out / f"x_{name}.bim").read_text().count("\n")
        assert len(listed(bgenix(stem, "-list"))) == count
        assert run("bcftools", "view", "-H", "-r", name, f"{stem}.bcf").count("\n") == count


def test_more_files_than_may_be_open(tmp_path, biofuse):
    """Of large files there is one for each contig: the plan tells, and so does a mount."""
    names = [f"c{i}" for i in range(20)]
    store = with_contigs(tmp_path, names, 20 * 40)
    root = zarr.open_group(store, mode="r+")
    root["variant_id"][:] = np.array([f"{'x' * 30_000}{i}" for i in range(20 * 40)], object)
    mountpoint = biofuse.new_directory()
    words = ("mount", store, mountpoint, "--per-contig", "--format", "bgen")
    command = biofuse.command(*words)

    def refused() -> str:
        done = subprocess.run(
            limited(80, command), env=biofuse.env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        return line.partition(" files that are kept open, ")[2]

    said = (
        "and a process may have 80 open: allow more with 'ulimit -n', or show fewer contigs at a "
        "time with -r"
    )
    assert refused() == said
    with biofuse.mount(*words[1:2], *words[3:]) as mount:
        assert len(list(mount.dir.glob("*.bgen"))) == len(names)
        found = [row[1] for row in listed(bgenix(mount.dir / "x_c19", "-list"))]
        assert found == root["variant_id"][-40:].tolist()
        assert refused() == said
