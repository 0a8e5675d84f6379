"""Secrets of object stores are told to nobody: not by status, logs, plans or command lines."""

import os
import subprocess
from pathlib import Path

import pytest
from support.program import wait_until
from support.stores import make_store, random_genotypes

GENOTYPES = random_genotypes(60, 23, seed=11)
TYPED = "typed-secret-8f2a"
TOKEN = "session-token-77c1"


@pytest.fixture
def there(made, placer):
    def make(folder):
        return make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 9))

    return placer.put("s3", made("secret", make))


@pytest.fixture
def secrets(there, biofuse) -> list[str]:
    biofuse.env.update(there.env, AWS_SESSION_TOKEN=TOKEN)
    return [there.env["AWS_SECRET_ACCESS_KEY"], TOKEN]


TYPED_OPTIONS = [
    *("--storage-option", f"secret_access_key={TYPED}"),
    *("--storage-option", "access_key_id=an-access-key"),
]


def told(text: str | bytes, secrets: list[str]) -> list[str]:
    """Those of the secrets that are in a text."""
    data = text.encode() if isinstance(text, str) else text
    return [secret for secret in secrets if secret.encode() in data]


def in_files(folder: Path, secrets: list[str]) -> list[tuple[Path, str]]:
    """Files below a folder that have a secret in them, or in their names."""
    found = []
    for file in folder.rglob("*"):
        found += [(file, secret) for secret in told(str(file), secrets)]
        if file.is_file():
            found += [(file, secret) for secret in told(file.read_bytes(), secrets)]
    return found


def in_command_lines(biofuse, secrets: list[str]) -> list[str]:
    return [
        process.command
        for process in biofuse.processes()
        if process.role != "other" and told(process.command, secrets)
    ]


def metrics_of(path: Path) -> str:
    """The page that is served at a socket of the file system."""
    command = ["curl", "--silent", "--fail", "--unix-socket", path, "http://x/metrics"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("typed", [False, True])
def test_secrets_of_a_mount(typed, there, secrets, biofuse):
    options = []
    if typed:
        secrets, options = [*secrets, TYPED], ["--backend-storage", "obstore", *TYPED_OPTIONS]
    access = biofuse.home / "access.log"
    more = ["--log-level", "debug", "--access-log", access, "--metrics", biofuse.home / "metrics"]
    directory = biofuse.new_directory()
    log = biofuse.home / "debug.log"
    biofuse("mount", there.url, directory, "--log-file", log, *more, *options)
    try:
        there.proxy.fault("answer", "*/call_genotype/*", status=503, times=2)
        (directory / "x.bed").read_bytes()
        assert in_command_lines(biofuse, secrets) == []
        for words in (["status", directory], ["status", directory, "--json"], ["status"]):
            done = biofuse(*words)
            assert told(done.stdout + done.stderr, secrets) == []
        page = metrics_of(biofuse.home / "metrics")
        assert "biofuse_reads_total" in page
        # Nor samples and sites.
        assert told(page, [*secrets, "S0001", "rs1", "CTT"]) == []
        assert log.exists()
        # Its plan in the cache, its run-time files and its logs.
        assert len(list(biofuse.cache.rglob("*"))) > 3
        assert in_files(biofuse.home, secrets) == []
    finally:
        biofuse("umount", directory)


@pytest.mark.parametrize("typed", [False, True])
def test_secrets_while_a_mount_is_made(typed, there, secrets, biofuse):
    """Its plan is made by a process of its own, whose command line all can read."""
    options = []
    if typed:
        secrets, options = [*secrets, TYPED], ["--backend-storage", "obstore", *TYPED_OPTIONS]
    there.proxy.fault("stall", seconds=3, skip=2)
    directory = biofuse.new_directory()
    mounting = biofuse.popen("mount", there.url, directory, *options)
    wait_until(
        lambda: there.proxy.faults[0].happened or mounting.poll() is not None, "the store is asked"
    )
    seen = [process.role for process in biofuse.processes()]
    assert in_command_lines(biofuse, secrets) == []
    assert in_files(biofuse.temporary, secrets) == []
    said = "".join(mounting.communicate(timeout=60))
    assert mounting.returncode == 0, said
    assert told(said, secrets) == []
    assert "plan" in seen
    biofuse("umount", directory)


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 503])
def test_secrets_and_errors(status, there, secrets, biofuse):
    there.proxy.fault("answer", status=status, times=None)
    options = ["--backend-storage", "obstore", *TYPED_OPTIONS]
    line = biofuse.fails("mount", there.url, biofuse.new_directory(), "--timeout", "5", *options)
    assert told(line, [*secrets, TYPED]) == []


@pytest.mark.slow
def test_secrets_in_a_url(there, biofuse, web):
    """As of a signed one: what follows the question mark, and what is before the @."""
    root = web.root / "signed"
    os.makedirs(root, exist_ok=True)
    make_store(root / "x.vcz", GENOTYPES, chunks=(20, 9))
    secret = "signature-51aa"
    url = f"{web.url.replace('//', f'//somebody:{secret}@')}/signed/x.vcz"
    with biofuse.mount(url, stem="x") as mount:
        mount.bed.read_bytes()
        for words in (["status", mount.dir], ["status", mount.dir, "--json"]):
            assert told(biofuse(*words).stdout, [secret]) == []
        assert in_command_lines(biofuse, [secret]) == []
        assert in_files(biofuse.home, [secret]) == []
