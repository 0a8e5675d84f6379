"""Files of a selection that can be read once: pipes and standard input, on real mounts."""

import os
import subprocess

import pytest
from support.oracles import plink19
from support.stores import make_store, random_genotypes

SHOW = ["--format", "plink", "--", "sh", "-c", 'cut -f4 "$BIOFUSE_BIM"; cut -f2 "$BIOFUSE_FAM"']


@pytest.fixture
def store(made):
    return made("one-read", lambda folder: make_store(folder / "x.vcz", random_genotypes(9, 5)))


def shown(biofuse, *words, given: bytes = b"", **pipes: bytes) -> list[str]:
    """Positions and samples of a view; `{name}` stands for a pipe with this in it."""
    ends = {}
    for name, data in pipes.items():
        ends[name], writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
    try:
        paths = {name: f"/dev/fd/{end}" for name, end in ends.items()}
        done = subprocess.run(
            biofuse.command("run", *(str(word).format(**paths) for word in words), *SHOW),
            env=biofuse.env,
            input=given,
            pass_fds=list(ends.values()),
            capture_output=True,
            timeout=60,
        )
    finally:
        for end in ends.values():
            os.close(end)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().split()


ALL = [str(7 * i) for i in range(1, 10)]
NAMES = [f"S000{i}" for i in range(5)]
SAMPLES = b"S0003\nS0001\n"


REGIONS = b"1\t7\t7\n2\t49\t56\n"


@pytest.mark.parametrize(
    ("option", "name", "given", "expected"),
    [
        ("-S", "-", SAMPLES, [*ALL, "S0003", "S0001"]),
        ("-S", "/dev/stdin", SAMPLES, [*ALL, "S0003", "S0001"]),
        ("-S", "^-", SAMPLES, [*ALL, "S0000", "S0002", "S0004"]),
        ("-R", "-", REGIONS, ["7", "49", "56", *NAMES]),
        ("-T", "^/dev/fd/0", REGIONS, [*ALL[1:6], ALL[8], *NAMES]),
    ],
)
def test_standard_input(option, name, given, expected, store, biofuse):
    assert shown(biofuse, store, option, name, given=given) == expected


def test_pipes(store, biofuse):
    """Of a shell's <(...), all at once; a second view of the same is the first one's plan."""
    words = [store, "-S", "{samples}", "-R", "{regions}", "-T", "^{targets}"]
    data = {"samples": SAMPLES, "regions": b"1\t7\t42\n", "targets": b"1\t14\n1\t21\n"}
    for _ in range(2):
        expected = ["7", "28", "35", "42", "S0003", "S0001"]
        assert shown(biofuse, *words, **data) == expected
    assert shown(biofuse, *words, **{**data, "samples": b"S0002\n"})[-1] == "S0002"


def test_a_mount_that_stays(store, biofuse):
    directory = biofuse.new_directory()
    command = biofuse.command("mount", store, directory, "-S", "-")
    subprocess.run(command, env=biofuse.env, input=SAMPLES, check=True, timeout=60)
    try:
        assert (directory / "x.fam").read_text().split()[1::6] == ["S0003", "S0001"]
        plink19("--bfile", directory / "x", "--freq", "--out", biofuse.home / "out")
    finally:
        biofuse("umount", directory)
