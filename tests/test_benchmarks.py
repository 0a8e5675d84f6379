"""The benchmarks and probes run, at a small scale, and write what they should."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import obstore
import pytest
from obstore.store import S3Store, from_url
from support.stores import copy_store, make_store, random_genotypes

from benchmarks import alter, far, lister, measure, processes, settings

ROOT = Path(__file__).parents[1]
STORES = ("wide", "wide_bench")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Stores under the names of large ones, so that none is simulated."""
    directory = tmp_path_factory.mktemp("stores")
    first = make_store(directory / "wide.vcz", random_genotypes(300, 200, seed=1), chunks=(50, 60))
    copy_store(first, directory / "wide_bench.vcz")
    return directory


def run(module: str, *words) -> str:
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_comparison(stores, tmp_path):
    words = ["--stores", stores, "--work", tmp_path, "--only", "ours,null", "--no-plot"]
    words += ["--on", "wide,wide_bench", "--measure", "throughput,readers,random,memory"]
    words += ["--view", "plink"]
    words += ["--repeats", 1, "--settle", 0.1, "--reads", 3, "--read-seconds", 1]
    run("benchmarks", "compare", *words)
    results = json.loads((tmp_path / "results.json").read_text())
    found = {(one["measure"], one["side"]) for one in results["series"]}
    for side in ("ours", "null"):
        assert ("whole .bed", side) in found
        assert ("core-seconds of whole .bed", side) in found
        assert ("readers of .bed", side) in found
        assert ("memory of readers of .bed, PSS", side) in found
        assert ("random 25 KB of .bed", side) in found
        assert ("memory .bed peak", side) in found
    assert any("touched and freed" in str(fact) for fact in results["facts"].values())


@pytest.mark.slow
def test_the_probes(stores, tmp_path):
    output = tmp_path / "probes.json"
    words = ["--stores", stores, "--work", tmp_path, "--only", "ours", "--settle", 0.1]
    run("benchmarks.probes", *words, "--setting", "default", "--json", output)
    results = json.loads(output.read_text())
    assert [(one["probe"], one["view"]) for one in results] == [
        ("inside", "plink"),
        ("inside", "bgen"),
        ("mounts", "plink"),
        ("mounts", "bgen"),
    ]
    for one in results:
        assert "failed" not in one
    inside, mount = results[0], results[2]
    assert inside["bytes_read"] > 0 and "Rows" in inside["holders"]
    assert {held["role"] for held in mount["idle"]["processes"]} >= {"serve"}
    assert set(mount["first reads"]) == {"25 KB", "1 MiB"}
    assert mount["high_water"]["encode"] > 0


def test_what_cannot_be_probed_is_said(stores, tmp_path):
    output = tmp_path / "probes.json"
    words = ["--stores", stores, "--work", tmp_path, "--only", "ours", "--view", "plink"]
    words += ["--on", "broken", "--setting", "workers"]
    (stores / "broken.vcz").mkdir()
    text = run("benchmarks.probes", "inside", *words, "--json", output)
    results = json.loads(output.read_text())
    assert len(results) == sum("workers" in one.name for one in settings.SETTINGS["ours"])
    assert all("broken.vcz" in one["failed"] for one in results)
    assert text.count("n/a") >= len(results)


@pytest.mark.slow
def test_exports(stores, tmp_path):
    words = ["--stores", stores, "--work", tmp_path, "--repeats", 1, "--no-peer"]
    run("benchmarks.exports", *words)
    results = json.loads((tmp_path / "exports.json").read_text())
    found = {(one["measure"], one["side"]) for one in results["series"]}
    assert ("whole .bed", "ours") in found and ("random 25 KB", "file object") in found
    assert ("whole .bed by Dask, 50 ms", "2 workers") in found
    assert ("compressed .bgen", "plink2 --export bgen-1.2") in found


@pytest.mark.slow
def test_filesets(stores, tmp_path):
    alter.multiallelic(stores / "wide.vcz", stores / "wide_alleles.vcz")
    alter.contigs(stores / "wide.vcz", stores / "tall_contigs.vcz")
    words = ["--stores", stores, "--work", tmp_path, "--repeats", 1]
    run("benchmarks.filesets", *words)
    results = json.loads((tmp_path / "filesets.json").read_text())
    found = {(one["measure"], one["side"]) for one in results["series"]}
    for name in ("whole .pgen", "whole .bcf"):
        assert {(name, "ours"), (name, "null")} <= found
    for name in ("bcftools view -r, 1 Mb", "plink2 --freq"):
        assert {(name, side) for side in ("ours", "real", "compressed")} <= found
    assert {("whole .bed, split", "plain"), ("mount: time", "plain")} <= found


@pytest.mark.slow
def test_stores_at_a_distance(stores, tmp_path):
    words = ["--stores", stores, "--work", tmp_path, "--only", "ours,plain,local", "--on", "wide"]
    words += ["--measure", "whole,random,idle,mount,memory,icechunk", "--delay", "30"]
    words += ["--view", "plink", "--repeats", 1, "--reads", 3]
    run("benchmarks.remote", *words)
    results = json.loads((tmp_path / "remote.json").read_text())
    assert [fact for fact in results["facts"] if "failed" in fact and "--plan" not in fact] == []
    found = {(one["measure"], one["side"], one["conditions"]) for one in results["series"]}
    for conditions in ("http  30 ms", "s3  30 ms"):
        for side in ("ours", "plain"):
            assert ("whole .bed", side, conditions) in found
            assert ("whole .bed: requests", side, conditions) in found
        assert ("mount: rounds", "ours", f"{conditions}, first") in found
        assert ("random 25 KB of .bed", "ours", f"{conditions}, touched") in found
        assert ("peak PSS, .bed streamed", "ours", conditions) in found
    assert ("icechunk: whole .bed", "ours", "s3  30 ms") in found
    assert ("whole .bed", "local", "") in found


def test_what_the_distant_server_is(stores, tmp_path):
    """Requests wait and are counted; lists, ETags, ranges and preconditions are as of S3."""
    with far.serve({"stores": stores}, tmp_path / "far", [0, 80]) as server:
        env = server.environment("s3", 80)
        s3 = S3Store(
            "stores",
            endpoint=env["AWS_ENDPOINT_URL"],
            access_key_id="key",
            secret_access_key="secret",
            region="us-east-1",
            client_options={"allow_http": True},
        )
        web = from_url(
            server.url("http", 0, "stores/wide.vcz"), client_options={"allow_http": True}
        )
        with server.counting("s3", 80) as counted:
            listed = {meta["path"]: meta for meta in obstore.list(s3, "wide.vcz").collect()}
            folders = obstore.list_with_delimiter(s3, "wide.vcz")
            key = "wide.vcz/call_genotype/0.0.0"
            found = obstore.get(s3, key)
            data = bytes(found.bytes())
            options = {"if_match": listed[key]["e_tag"], "range": (10, 20)}
            assert bytes(obstore.get(s3, key, options=options).bytes()) == data[10:20]
            with pytest.raises(obstore.exceptions.PreconditionError):
                obstore.get(s3, key, options={"if_match": '"other"'})
            with pytest.raises(FileNotFoundError):
                obstore.get(s3, "wide.vcz/none")
        files = [path for path in (stores / "wide.vcz").rglob("*") if path.is_file()]
        assert set(listed) == {str(path.relative_to(stores)) for path in files}
        assert {meta["size"] for meta in listed.values()} == {p.stat().st_size for p in files}
        assert found.meta["e_tag"] == listed[key]["e_tag"]
        assert "wide.vcz/call_genotype" in folders["common_prefixes"]
        assert data == (stores / key).read_bytes()
        [requests] = counted
        assert [one.status for one in requests.all] == [200, 200, 200, 206, 412, 404]
        assert all(one.ended - one.begun >= 0.079 for one in requests.all)
        assert (requests.rounds(), requests.most_at_once()) == (6, 1)
        with server.counting("http", 0) as counted:
            assert bytes(obstore.get(web, "call_genotype/0.0.0").bytes()) == data
        [requests] = counted
        assert requests.size == len(data)


def test_lists_have_pages(stores):
    def listed(**query):
        text = lister.page(stores, "stores", {key.replace("_", "-"): query[key] for key in query})
        root = ElementTree.fromstring(text)
        space = {"s": root.tag[1:].partition("}")[0]}
        names = [each.text for each in root.findall("s:Contents/s:Key", space)]
        prefixes = [each.text for each in root.findall("s:CommonPrefixes/s:Prefix", space)]
        token = root.find("s:NextContinuationToken", space)
        return names, prefixes, None if token is None else token.text

    everything, prefixes, token = listed(prefix="wide.vcz/")
    assert (prefixes, token) == ([], None)
    assert everything == sorted(everything) and len(everything) > 20
    found, token = [], ""
    while token is not None:
        names, _, token = listed(prefix="wide.vcz/", max_keys="7", continuation_token=token)
        found += names
    assert found == everything
    names, prefixes, _ = listed(prefix="wide.vcz/", delimiter="/")
    assert names == [key for key in everything if key.count("/") == 1]
    assert prefixes == sorted({key.rpartition("/")[0] + "/" for key in everything} - {"wide.vcz/"})


@pytest.mark.slow
def test_growth(tmp_path):
    output = tmp_path / "growth.json"
    words = ["--variants", 2000, "--scratch", tmp_path, "--settle", 0.1, "--json", output]
    run("benchmarks.growth", *words)
    [row] = json.loads(output.read_text())
    assert row["peaks_of_making"]["plan"] > 0
    assert row["peaks_of_reading"]["serve"] > 0
    assert row["idle"] > 0


def test_processor_time_counts_children_that_ended():
    me = {process for process in processes.tree({os.getpid()}) if process.pid == os.getpid()}
    before = processes.processor_seconds(me), measure.children_seconds()
    subprocess.run([sys.executable, "-c", "for _ in range(5_000_000): pass"], check=True)
    after = processes.processor_seconds(me), measure.children_seconds()
    for earlier, later in zip(before, after, strict=True):
        assert later - earlier > 0.03


def test_memory_is_warmed_within_what_is_available(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9 kB\nMemAvailable:  20480 kB\n")
    monkeypatch.setattr(measure, "MEMINFO", meminfo)
    assert measure.warm_memory(1 << 40) == 12 << 20
