"""Where a run's environments and stores are, made when they are first needed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import environments
from .environments import HERE, Environment
from .stores import Maker
from .views import View

DEFAULT_WORK = HERE.parent / ".bench"


@dataclass(frozen=True)
class Workspace:
    """Directories of a run.

    Attributes
    ----------
    work : Path
        Where everything is that is not elsewhere.
    stores : Path or None
        Directory of the stores, if it is elsewhere.
    sim_env, peer_env : Path or None
        Environments of the simulation and of the peer, if there are some already.
    scale : float
        Factor of each side of every store.
    """

    work: Path
    stores: Path | None = None
    sim_env: Path | None = None
    peer_env: Path | None = None
    scale: float = 1.0

    @cached_property
    def sim(self) -> Environment:
        """The environment that makes stores and draws plots."""
        if self.sim_env:
            return Environment(self.sim_env)
        return environments.ensure(self.work / "sim-env", "requirements.txt")

    @cached_property
    def peer(self) -> Environment:
        """The environment of the peer."""
        if self.peer_env:
            return Environment(self.peer_env)
        return environments.ensure(self.work / "peer-env", "requirements-peer.txt")

    def maker(
        self,
        say: Callable[[str], None],
        convert: Callable[[Path, View, Path], None] | None = None,
    ) -> Maker:
        """Return what makes the stores.

        Parameters
        ----------
        say : callable
            Takes one line of progress.
        convert : callable, optional
            Writes real files; needed only where some are asked for.

        Returns
        -------
        Maker
            Of this workspace's stores.
        """
        name = "stores" if self.scale == 1 else f"stores-{self.scale}"
        root = (self.stores or self.work / name).absolute()
        return Maker(root, self.scale, lambda: self.sim, convert or _no_files, say)


def _no_files(store: Path, view: View, stem: Path) -> None:
    raise RuntimeError(f"nothing here makes real {view.suffix} files of {store.name}")
