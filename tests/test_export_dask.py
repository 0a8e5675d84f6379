"""`biofuse export --dask`: the bytes of one process, made by many, of which some may die."""

import contextlib
import dataclasses
import errno
import http.client
import os
import signal
import socket
import ssl
import sys
import urllib.request

import distributed
import obstore
import obstore.store
import psutil
import pytest
from distributed.cfexecutor import ClientExecutor as Executor
from distributed.comm import CommClosedError
from support import reference
from support.program import wait_until
from support.stores import make_store, random_genotypes

import biofuse as biofuse_of_python
from biofuse.errors import BiofuseError
from biofuse.export import cluster as clusters
from biofuse.export.cluster import Cluster
from biofuse.export.compress import Compression
from biofuse.export.local import export_to_folder
from biofuse.export.local_workers import local_workers

GENOTYPES = random_genotypes(3000, 6000, seed=8, alike=True)


@pytest.fixture(scope="module")
def store(made):
    """A `.bed` of 4.5 MB, of 30 rows of chunks; its `.bgen` has 54 MB."""
    return made("dask", lambda folder: make_store(folder / "x.vcz", GENOTYPES, chunks=(100, 3000)))


@pytest.fixture(scope="module")
def scheduler():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def expected(store, module_biofuse, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    module_biofuse("export", store, folder / "x", "--no-bgi")
    return folder


def same(folder, expected):
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name


def test_the_bytes_of_one_process(store, scheduler, expected, biofuse, tmp_path):
    options = ["--no-bgi", "--verify", "--dask", scheduler.scheduler_address]
    biofuse("export", store, tmp_path / "x", *options)
    same(tmp_path, expected)


def test_compressed(store, scheduler, biofuse, tmp_path):
    options = ["--format", "bgen", "--compress", "zstd:1"]
    biofuse("export", store, tmp_path / "one", *options)
    biofuse("export", store, tmp_path / "x", *options, "--dask", scheduler.scheduler_address)
    one, x = ((tmp_path / f"{name}.bgen").read_bytes() for name in ("one", "x"))
    assert one == x


@pytest.mark.slow
def test_workers_on_this_machine(store, biofuse, tmp_path):
    words = ["--format", "plink", "--dask", "local"]
    with socket.socket() as taken:
        # Dask's own choice, which another program may have made as well.
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        assert biofuse("export", store, tmp_path / "x", *words).stderr == ""
    assert (tmp_path / "x.bed").read_bytes() == reference.bed(GENOTYPES)
    assert list(biofuse.temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["the workers start", "they work"])
def test_ended_with_its_workers(moment, store, biofuse, tmp_path):
    """By a scheduler of jobs, say, that tells each process: nothing and nobody is left."""
    words = ["--format", "plink", "--dask", "local"]
    process = biofuse.popen("export", store, tmp_path / "x", *words, start_new_session=True)
    if moment == "they work":
        wait_until(lambda: list(tmp_path.iterdir()), "it has begun", 60)
    else:
        wait_until(lambda: list(biofuse.temporary.glob("*/dask-scratch-space")), "they start", 60)
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert said == ""
    assert list(biofuse.temporary.iterdir()) == []
    assert not biofuse.processes()


@pytest.mark.slow
def test_a_worker_that_is_killed(store, expected, biofuse, tmp_path):
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        options = ["--no-bgi", "--dask", cluster.scheduler_address]
        process = biofuse.popen("export", store, tmp_path / "x", *options)
        wait_until(lambda: list(tmp_path.glob(".x.export/*.b*")), "it writes")
        os.kill(victim, signal.SIGKILL)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    same(tmp_path, expected)


def test_parts_of_an_upload(store, scheduler, placer, biofuse, tmp_path):
    there = placer.put("s3", store)
    folder = there.url.rpartition("/")[0]
    # What is typed goes to the workers; variables of this process do not.
    typed = {
        "endpoint": there.env["AWS_ENDPOINT_URL"],
        "access_key_id": there.env["AWS_ACCESS_KEY_ID"],
        "secret_access_key": there.env["AWS_SECRET_ACCESS_KEY"],
        "region": there.env["AWS_REGION"],
        "allow_http": "true",
    }
    words = ["--format", "plink"]
    for name, value in typed.items():
        words += ["--storage-option", f"{name}={value}"]
    dask = ["--verify", "--dask", scheduler.scheduler_address]
    biofuse("export", there.url, f"{folder}/made/x", *words, *dask)
    biofuse("export", there.url, tmp_path / "x", *words)
    assert (tmp_path / "x.bed").read_bytes() == reference.bed(GENOTYPES)
    assert downloaded(typed, f"{folder}/made", "x.bed") == reference.bed(GENOTYPES)
    assert downloaded(typed, f"{folder}/made", "x.bim") == (tmp_path / "x.bim").read_bytes()


def downloaded(options, folder, name):
    """An object, read by obstore alone."""
    settings = {key: value for key, value in options.items() if key != "allow_http"}
    place = obstore.store.from_url(folder, **settings, client_options={"allow_http": True})
    return bytes(obstore.get(place, name).bytes())


def test_mistakes(store, scheduler, biofuse, tmp_path, monkeypatch):
    address = "tcp://127.0.0.1:9"
    monkeypatch.setattr(clusters, "_PATIENCE", 1)
    with pytest.raises(clusters.BiofuseError, match=r"tcp://127\.0\.0\.1:9 does not answer"):
        Cluster(address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(clusters.BiofuseError, match=r"pip install 'biofuse\[dask\]'"):
        Cluster("local")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "missing port"),
        ("", "missing port"),
        ("foo://127.0.0.1:99", "unknown address scheme 'foo'"),
        ("tcp://127.0.0.1:99999", "no port 99999"),
        ("tcp://127.0.0.1:http", "'http'"),
    ],
)
def test_what_is_no_address(address, reason, store, biofuse, tmp_path):
    """It is told at once: a client that Dask has begun to make would wait for minutes."""
    words = ["--format", "plink", "--dask", address]
    said = biofuse.fails("export", store, tmp_path / "x", *words)
    assert said.startswith(f"--dask {address!r} is no address") and reason in said


def test_an_error_of_a_worker_is_one_line(store, scheduler, biofuse, tmp_path, made):
    def make(folder):
        return make_store(folder / "bad.vcz", random_genotypes(300, 60, seed=2), chunks=(50, 30))

    bad = made("dask-bad", make)
    chunk = bad / "call_genotype" / "3.1.0"
    chunk.write_bytes(chunk.read_bytes()[:30])
    words = ["--format", "plink", "--dask", scheduler.scheduler_address]
    said = biofuse("export", bad, tmp_path / "y", *words, code=1).stderr
    [line] = [line for line in said.splitlines() if "haploid" not in line]
    assert "y.bed" in line and "call_genotype/3.1.0" in line
    assert not (tmp_path / "y.bed").exists()


class Lost:
    """What a worker was to do, and what came of it."""

    def __init__(self, error):
        self.error = error

    def result(self):
        raise self.error

    def cancel(self):
        pass


@pytest.mark.parametrize("compressed", [False, True])
def test_a_worker_that_is_lost_is_told_as_that(compressed, store, scheduler, tmp_path, monkeypatch):
    """Not as what the disk has met, which has a number."""
    lost = Lost(CommClosedError("in <TLS>: Stream is closed"))
    monkeypatch.setattr(Executor, "submit", lambda *_, **__: lost)
    monkeypatch.setattr(clusters, "wait", lambda things, **_: (list(things), []))
    with (
        biofuse_of_python.open(store, formats="bgen") as fileset,
        Cluster(scheduler.scheduler_address) as cluster,
        pytest.raises(BiofuseError, match="a Dask worker failed: in <TLS>: Stream is closed"),
    ):
        compression = Compression("zlib", 1) if compressed else None
        export_to_folder(fileset, str(tmp_path), "", compression=compression, cluster=cluster)
    full = Lost(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space"):
        clusters.outcome(full)


def test_more_exports_at_once_than_a_worker_keeps(store):
    """What one of them uses is not closed; what none uses is, but for some."""
    with biofuse_of_python.open(store, formats="plink") as fileset:
        packages = [clusters.Package.of(fileset.opening) for _ in range(clusters._MAX_OPENED + 2)]
        found = [bytearray(1000), bytearray(1000)]
        with clusters.made_by(packages[0]) as maker:
            maker.read_into(0, 0, memoryview(found[0]))
            for package in packages[1:]:
                with clusters.made_by(package):
                    assert len(clusters._opened) <= clusters._MAX_OPENED + 1
            maker.read_into(0, 0, memoryview(found[1]))
        assert found[0] == found[1] != bytes(1000)
        assert len(clusters._opened) == clusters._MAX_OPENED
        assert {packages[0].name, packages[-1].name} < set(clusters._opened)
        for name in list(clusters._opened):
            clusters._opened.pop(name).close()


def test_a_package_does_not_tell_its_secrets(store):
    """Dask says what it was to do where that fails."""
    with biofuse_of_python.open(store, formats="plink") as fileset:
        package = clusters.Package.of(fileset.opening)
    told = repr(dataclasses.replace(package, secrets={"key": "secret-4711"}))
    assert "secret-4711" not in told and package.name in told
    assert len(told) < 20_000


class Losing:
    """A client that has lost a worker for some time."""

    def __init__(self, times):
        self.times = times

    def scatter(self, thing, broadcast):
        assert broadcast
        self.times -= 1
        if self.times >= 0:
            raise KeyError("tcp://127.0.0.1:40001")
        return thing


@pytest.mark.parametrize("times", [1, 50])
def test_a_worker_that_is_lost_while_it_is_sent_the_plan(times, monkeypatch):
    monkeypatch.setattr(clusters, "_PAUSE", 0)
    cluster = Cluster.__new__(Cluster)
    cluster._client = Losing(times)
    if times == 1:
        assert cluster.send("plan") == "plan"
        return
    with pytest.raises(BiofuseError, match=r"the Dask workers cannot be sent the plan: .*40001"):
        cluster.send("plan")


# Prints when Python starts, before anything is imported that should.
CHATTY = "print('tcp://127.0.0.1:9', flush=True)\n"


PAGES = ("health", "metrics", "json/identity.json", "info/main/workers.html")


def pages_that_anybody_reads() -> list[str]:
    """Of the ports at which the processes of `local_workers` listen, without TLS."""
    found, ports = [], 0
    [began] = [
        each
        for each in psutil.Process().children()
        if "biofuse.export.local_workers" in each.cmdline()
    ]
    for process in (began, *began.children(recursive=True)):
        listening = [each for each in process.net_connections("tcp") if each.status == "LISTEN"]
        for port in sorted({each.laddr.port for each in listening}):
            ports += 1
            for page in PAGES:
                url = f"http://127.0.0.1:{port}/{page}"
                with contextlib.suppress(OSError, http.client.HTTPException):
                    urllib.request.urlopen(url, timeout=10).close()
                    found.append(url)
    assert ports > 2
    return found


@pytest.mark.slow
def test_workers_of_this_machine_are_this_users_alone(tmp_path, monkeypatch):
    """They do what they are told: who has not their key may not connect."""
    (tmp_path / "sitecustomize.py").write_text(CHATTY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with local_workers() as (address, security):
        assert address.startswith("tls://127.0.0.1:")
        assert os.stat(security.tls_client_key).st_mode & 0o777 == 0o600
        with distributed.Client(address, security=security, set_as_default=False) as client:
            assert client.submit(sum, [1, 2]).result(timeout=30) == 3
            assert pages_that_anybody_reads() == []
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, _, port = address.removeprefix("tls://").rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=30) as plain,
            pytest.raises(ssl.SSLError, match=r"(?i)certificate.required|handshake.failure"),
            context.wrap_socket(plain) as connection,
        ):
            connection.recv(1)
