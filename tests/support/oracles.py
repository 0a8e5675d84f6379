"""The field's own converters and readers, run as programs. One that is missing is an error."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import vcztools.cli


def tool(name: str) -> str:
    """A program that pip installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def run(*command, cwd: Path | None = None) -> str:
    """Run a program that must succeed. Returns what it printed."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=cwd, timeout=120
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@dataclass(frozen=True)
class Fileset:
    """The three files of a PLINK 1 fileset."""

    bed: bytes
    bim: str
    fam: str

    @classmethod
    def read(cls, stem: Path) -> "Fileset":
        return cls(
            Path(f"{stem}.bed").read_bytes(),
            Path(f"{stem}.bim").read_text(),
            Path(f"{stem}.fam").read_text(),
        )


def plink2(*arguments) -> str:
    return run("plink2", "--threads", "1", "--memory", "640", *arguments)


def plink19(*arguments) -> str:
    return run("plink1.9", "--threads", "1", "--memory", "640", *arguments)


def plink2_make_bed(vcf: Path, out: Path, *options) -> Fileset:
    """What plink2 makes of a VCF, with the sample ID as family ID too."""
    plink2(
        *("--vcf", vcf, "--double-id", "--allow-extra-chr", "--vcf-half-call", "missing"),
        *("--make-bed", "--out", out, *options),
    )
    return Fileset.read(out)


def vcztools_view_plink(store: Path, out: Path, *options) -> Fileset:
    """What `vcztools view-plink` makes of a store, in this process: its import is slow."""
    words = [str(word) for word in ("view-plink", store, "-o", out, *options)]
    vcztools.cli.vcztools_main.main(words, standalone_mode=False)
    return Fileset.read(out)


def vcztools_view_bgen(store: Path, stem: Path, *options) -> Path:
    """What `vcztools view-bgen`, an encoder of its own, makes of a store. Returns the stem."""
    words = [str(word) for word in ("view-bgen", store, "-o", stem, *options)]
    vcztools.cli.vcztools_main.main(words, standalone_mode=False)
    return stem


def bcftools_view(vcf: Path, out: Path, *options) -> Path:
    """A subset of a VCF, as text."""
    run("bcftools", "view", *options, "-o", out, vcf)
    return out
