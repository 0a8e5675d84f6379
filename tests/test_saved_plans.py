"""`biofuse plan` and `--plan`: what mounts of a store need, in one file."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from support.places import contents
from support.regions import make_stores
from support.stores import chunk_files, copy_store, make_store, random_genotypes

import biofuse as package
from biofuse.stores.saved import FORMAT, MANIFEST

VIEWS = {
    "everything": (),
    "a-region": ("-r", "chr2:100040-100900"),
    "samples": ("-s", "s0"),
    "both": ("-r", "chr2", "-s", "s0"),
    "an-expression": ("-i", "POS > 100040 && POS < 200000"),
    "plink": ("--format", "plink", "--contig-names", "store"),
}


@pytest.fixture
def store(made, tmp_path) -> Path:
    return copy_store(made("regions", make_stores)["whole"], tmp_path / "x.vcz")


def shown(biofuse, store, *options) -> dict[str, bytes]:
    with biofuse.mount(store, "--no-cache", *options, stem="x") as mount:
        return contents(mount.dir)


def samples_of(store) -> list[str]:
    import zarr

    return zarr.open_group(store, mode="r")["sample_id"][:].tolist()


def with_names(options, store) -> list[str]:
    """Options with the store's last sample in place of s0."""
    return [samples_of(store)[-1] if word == "s0" else word for word in options]


@pytest.mark.parametrize("view", VIEWS)
def test_views_of_a_saved_plan_are_those_of_the_store(view, biofuse, store, tmp_path):
    options = with_names(VIEWS[view], store)
    biofuse("plan", store, "-o", tmp_path / "x.plan")
    assert shown(biofuse, store, "--plan", tmp_path / "x.plan", *options) == shown(
        biofuse, store, *options
    )


def test_nothing_of_the_sites_is_read_from_the_store(biofuse, store, tmp_path):
    expected = shown(biofuse, store)
    biofuse("plan", store, "-o", tmp_path / "x.plan")
    for folder in store.glob("variant_*"):
        shutil.rmtree(folder)
    shutil.rmtree(store / "sample_id")
    assert shown(biofuse, store, "--plan", tmp_path / "x.plan") == expected


def test_in_an_object_store(biofuse, store, tmp_path, s3, in_front):
    # An index of a .bgen of few samples has some of its calls.
    plink = ("--format", "plink")
    expected = shown(biofuse, store, *plink)
    region = shown(biofuse, store, *plink, "-r", "chr2:100040-100900")
    s3.make_bucket("saved-plans")
    url = s3.upload(store, "saved-plans")
    proxy = in_front(s3)
    biofuse.env.update(s3.environment(proxy.url))
    for plan in (tmp_path / "x.plan", "s3://saved-plans/x.plan"):
        biofuse("plan", url, "-o", plan)
        for options, files in (((), expected), (("-r", "chr2:100040-100900"), region)):
            proxy.clear()
            with biofuse.mount(
                url, "--no-cache", "--plan", plan, *plink, *options, stem="x"
            ) as mount:
                assert not proxy.traffic.of("*/variant_*").requests
                assert not proxy.traffic.of("*/call_*").requests
                # The plan, for the command and for the process that makes the view, and whether
                # the store is what it was.
                assert len(proxy.traffic) <= 8
                assert contents(mount.dir) == files


def test_a_web_server_has_not_all_that_it_is_asked_for(biofuse, placer, tmp_path):
    """Which tells of no arrays: of one that is not there nothing is said, and nothing saved."""
    store = make_store(tmp_path / "x.vcz", random_genotypes(30, 5))
    there = placer.put("http", store)
    biofuse.env.update(there.env)
    options = ("--format", "bcf", "--format", "plink2")
    plan = tmp_path / "x.plan"
    assert biofuse("plan", there.url, "-o", plan, *options).stderr == ""
    expected = shown(biofuse, store, *options)
    for more in ((), ("--plan", plan)):
        words = (there.url, biofuse.new_directory(), "--no-cache", *options, *more)
        assert biofuse("mount", *words).stderr == ""
        assert contents(words[1]) == expected
        biofuse("umount", words[1])


def test_what_it_is_made_with_is_shown_where_nothing_else_is_asked_for(biofuse, store, tmp_path):
    plan = tmp_path / "x.plan"
    biofuse("plan", store, "-o", plan, "-r", "chr2", "--contig-names", "store")
    expected = shown(biofuse, store, "-r", "chr2", "--contig-names", "store")
    assert shown(biofuse, store, "--plan", plan) == expected
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--plan", plan, "-r", "chr1")
    assert "is of a selection" in said
    # A default that is asked for is not one that nobody has asked for.
    asked = shown(biofuse, store, "-r", "chr2", "--contig-names", "plink2")
    assert asked != expected
    assert shown(biofuse, store, "--plan", plan, "--contig-names", "plink2") == asked
    with package.open(store, plan=plan, formats="plink", contig_names="plink2") as fileset:
        [name] = [name for name in fileset if name.endswith(".bim")]
        assert fileset.open(name).read() == asked[name]


def test_options_of_formats_that_it_is_made_with_stand_one_by_one(biofuse, store, tmp_path):
    """Another option, or a preset, takes none of them back."""
    plan = tmp_path / "x.plan"
    made = ["--format", "bgen", "--bits", "16", "--no-header-samples"]
    biofuse("plan", store, "-o", plan, *made)
    expected = shown(biofuse, store, *made, "--no-bgi")
    assert shown(biofuse, store, "--plan", plan, "--no-bgi") == expected
    said = biofuse.fails("run", store, "--plan", plan, "--for", "saige", "--", "true")
    assert said.startswith("--bits 16 does not go with --for saige")
    expected = shown(biofuse, store, *made, "--for", "regenie")
    found = shown(biofuse, store, "--plan", plan, "--format", "bgen", "--for", "regenie")
    assert found == expected


def test_formats_and_filesets_that_it_is_made_with(biofuse, store, tmp_path):
    plan = tmp_path / "x.plan"
    made = ["--format", "bcf", "--format", "plink", "--name-template", "{stem}.{contig}"]
    biofuse("plan", store, "-o", plan, *made)
    expected = shown(biofuse, store, *made)
    assert any(name.endswith(".bcf") for name in expected)
    assert shown(biofuse, store, "--plan", plan) == expected
    assert {*shown(biofuse, store, "--plan", plan, "--format", "plink")} == {
        name for name in expected if not name.endswith((".bcf", ".csi"))
    }
    contig = next(name.split(".")[1] for name in expected if name.endswith(".bed"))
    biofuse("run", store, "--plan", plan, "--", "test", "-e", f"{{bcf:{contig}}}")


def test_a_store_that_is_another_by_now(biofuse, store, tmp_path):
    plan = tmp_path / "x.plan"
    biofuse("plan", store, "-o", plan)
    metadata = next(
        path
        for path in (store / "call_genotype/.zarray", store / "call_genotype/zarr.json")
        if path.exists()
    )
    metadata.write_text(metadata.read_text() + " ")
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--plan", plan)
    assert "not the version of it" in said
    assert "biofuse plan" in said


def test_one_of_another_store(biofuse, store, tmp_path):
    other = make_store(tmp_path / "other.vcz", random_genotypes(20, 5, seed=1))
    biofuse("plan", store, "-o", tmp_path / "x.plan")
    said = biofuse.fails("mount", other, biofuse.new_directory(), "--plan", tmp_path / "x.plan")
    assert "is not the store" in said


@pytest.mark.parametrize("kind", ["nothing", "text", "zip", "damaged", "deep", "changed", "newer"])
def test_files_that_are_no_plans(kind, biofuse, store, tmp_path):
    path = tmp_path / "x.plan"
    if kind == "text":
        path.write_text("this is no plan")
    elif kind != "nothing":
        about = {"zip": None, "damaged": "[", "newer": json.dumps({"format": 99, "version": "9"})}
        about |= {"deep": "[" * 100_000, "changed": json.dumps({"format": FORMAT, "checksum": 1})}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", "b")
            if about[kind] is not None:
                archive.writestr(MANIFEST, about[kind])
    said = biofuse.fails("mount", store, biofuse.new_directory(), "--plan", path)
    assert "x.plan" in said


def test_a_store_that_cannot_be_shown_has_none(biofuse, store, tmp_path):
    shutil.rmtree(next(iter(store.glob("variant_position"))))
    said = biofuse.fails("plan", store, "-o", tmp_path / "x.plan")
    assert "variant_position" in said
    assert os.listdir(tmp_path) == [store.name]
    assert "no folder" in biofuse.fails("plan", store, "-o", tmp_path / "none" / "x.plan")


def test_calls_that_were_replaced_since_it_was_made(biofuse, store, tmp_path):
    """Sites of the file do not go with them."""
    plan = tmp_path / "x.plan"
    biofuse("plan", store, "-o", plan)
    chunk = chunk_files(store)[-1]
    chunk.write_bytes(chunk.read_bytes())
    with biofuse.mount(store, "--plan", plan, "--no-cache", stem="x") as mount:
        mount.expect_log("was changed after the store was mounted")
        with pytest.raises(OSError, match="Stale file handle"):
            mount.bed.read_bytes()
