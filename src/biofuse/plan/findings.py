"""What a look at the calls of a view finds, for the notices of formats."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.formats.base import GENOTYPES, PHASED, Phase
from biofuse.genotypes.array import GenotypeArray
from biofuse.plan.fields import describe_field
from biofuse.plan.haploid import find_haploid
from biofuse.plan.phase import PhaseSearch
from biofuse.plan.phase_chunks import PhaseChunks
from biofuse.plan.phased_calls import PhasedCallSearch
from biofuse.stores import Location
from biofuse.stores.members import Members


class CallFindings:
    """Looks at calls when it is asked, once.

    Parameters
    ----------
    location : Location
    group : Members
        The same store.
    variants, samples : sequence of int or None
        The store's indices of the view's variants, ascending, and of its samples; None for
        all.
    contig_starts : sequence of int
        The view's variants with which a contig begins; empty where that is not known.
    look_at : callable
        Called with the keys of chunks before they are read.

    Attributes
    ----------
    errors : list of BiofuseError
        Why something could not be read.
    """

    def __init__(
        self,
        location: Location,
        group: Members,
        variants: Sequence[int] | None = None,
        samples: Sequence[int] | None = None,
        contig_starts: Sequence[int] = (),
        look_at: Callable[[Iterable[str]], None] = lambda keys: None,
    ):
        self.errors: list[BiofuseError] = []
        self._location = location
        self._group = group
        self._variants = variants
        self._samples = samples
        self._contig_starts = contig_starts
        self._look_at = look_at
        self._opened_ns = time.time_ns()
        self._chunks = cache(self._phase_chunks)
        self.phase = cache(self._phase)
        self.phased_calls = cache(self._phased_calls)
        self.haploid = cache(self._haploid)

    def _phase(self) -> Phase:
        """Whether there are variants of which all calls are phased."""
        chunks = self._chunks()
        if chunks is None:
            return Phase.NO
        search = PhaseSearch(chunks)
        found = search.find()
        self._note(search.error)
        return found

    def _phased_calls(self) -> bool:
        """Whether phased heterozygous calls were found."""
        chunks = self._chunks()
        if chunks is None:
            return False
        try:
            genotypes = describe_field(self._group, GENOTYPES)
        except BiofuseError:
            return False
        search = PhasedCallSearch(chunks, genotypes)
        found = search.find()
        self._note(search.error)
        return found

    def _note(self, error: BiofuseError | None) -> None:
        if error is not None:
            self.errors.append(error)

    def _phase_chunks(self) -> PhaseChunks | None:
        """What searches for phase look at, if the store has it."""
        phased = self._phased()
        if phased is None:
            return None
        return PhaseChunks(
            self._location, phased, self._variants, self._samples, self._opened_ns, self._look_at
        )

    def _phased(self) -> GenotypeArray | None:
        """The store's call_genotype_phased, if it has one that can be shown."""
        if PHASED not in self._group:
            return None
        try:
            return describe_field(self._group, PHASED)
        except BiofuseError:
            # No view can show it, and that is told where one is to.
            return None

    def _haploid(self) -> bool:
        """Whether haploid calls were found."""
        try:
            return find_haploid(
                self._location,
                describe_field(self._group, GENOTYPES),
                self._variants,
                self._samples,
                self._contig_starts,
                self._opened_ns,
                self._look_at,
            )
        except StoreChangedError:
            raise
        except BiofuseError as error:
            self.errors.append(error)
            return False
