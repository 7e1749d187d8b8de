"""Programs of groups whose turn comes later, compiled while others are trained.

Compiling keeps one core busy for the most part, and so does the end of a group's training, when few members are left.
Threads beside the training fill those gaps, one tracing while XLA compiles what another has traced; which bits come
out does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Lock, Semaphore, Thread
from typing import Any

import jax
import numpy as np

from perceptory import backend
from perceptory.training.plan import Member, ProgramPlan
from perceptory.training.program_cache import cached_program

LEAD = 8  # programs that may be ready before their turn
THREADS = 2  # one traces while XLA compiles what the other has traced


@contextmanager
def compiled_ahead(
    groups: Sequence[tuple[ProgramPlan, Member]], data: Any, arithmetic: str
) -> Iterator[Callable[[], None]]:
    """Within the block, compile the programs of these groups in their order; yields what is to be called whenever
    the training of a group begins, so that only a few programs are ahead of it.

    groups: plans and members [member, ...], in the order in which they will be trained. data: as for `train_group`.
    arithmetic: "single" or "double". What fails is left to the group's own turn, which tells of it.
    """
    if not groups or backend.cores() < 2:
        yield lambda: None
        return
    ended, free, waiting, next_one, turn = Event(), Semaphore(LEAD), iter(groups), Lock(), Lock()

    def work() -> None:
        with backend.precision(arithmetic):
            while True:
                free.acquire()
                with next_one:
                    group = next(waiting, None)
                if group is None or ended.is_set():
                    return
                try:
                    compile_for(*group, data, turn)
                except Exception:  # the group itself meets it again, where somebody can be told
                    return

    threads = [Thread(target=work, name="perceptory-compiling", daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield free.release
    finally:
        ended.set()
        free.release(THREADS)
        for thread in threads:
            thread.join()  # XLA must not be at work when the process ends


def compile_for(plan: ProgramPlan, members: Member, data: Any, turn: Any = None) -> None:
    """Have a group's program compiled for members [member, ...] and data of these shapes. turn: see `Program.make`."""
    if plan.has_code:
        return
    batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct((plan.chunk, *a.shape[1:]), np.dtype(a.dtype)), members)
    data = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jax.dtypes.canonicalize_dtype(a.dtype)), data)
    cached_program(plan, batch, data).make(turn)
