"""Programs of groups whose turn comes later, compiled while others are trained.

Compiling keeps one core busy for the most part, and so does the end of a group's training, when few members are left.
A thread beside the training fills those gaps; which bits come out does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Semaphore, Thread
from typing import Any

import jax
import numpy as np

from perceptory import backend
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.program_cache import cached_program

LEAD = 8  # programs that may be ready before their turn


@contextmanager
def compiled_ahead(
    groups: Sequence[tuple[ProgramPlan, Member]], data: Any, arithmetic: str
) -> Iterator[Callable[[], None]]:
    """Within the block, compile the programs of these groups one after the other; yields what is to be called whenever
    the training of a group begins, so that only a few programs are ahead of it.

    groups: plans and members [member, ...], in the order in which they will be trained. data: as for `train_group`.
    arithmetic: "single" or "double". What fails is left to the group's own turn, which tells of it.
    """
    if not groups or backend.cores() < 2:
        yield lambda: None
        return
    ended, free = Event(), Semaphore(LEAD)

    def work() -> None:
        with backend.precision(arithmetic):
            for plan, members in groups:
                free.acquire()
                if ended.is_set():
                    return
                try:
                    compile_for(plan, members, data)
                except Exception:  # the group itself meets it again, where somebody can be told
                    return

    thread = Thread(target=work, name="perceptory-compiling", daemon=True)
    thread.start()
    try:
        yield free.release
    finally:
        ended.set()
        free.release()
        thread.join()  # XLA must not be at work when the process ends


def compile_for(plan: ProgramPlan, members: Member, data: Any) -> None:
    """Have a group's program compiled for members [member, ...] and data of these shapes."""
    if plan.has_code:
        return
    batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct((plan.chunk, *a.shape[1:]), np.dtype(a.dtype)), members)
    data = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jax.dtypes.canonicalize_dtype(a.dtype)), data)
    cached_program(plan, batch, data).make()
