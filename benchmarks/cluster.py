"""Studies on a Dask cluster of processes on this machine: kills, overhead, memory, and how far it would scale.

    python -m benchmarks.cluster [kills] [scheduler] [overhead] [shipping] [flat] [scale] [--quick]

kills: workers are killed (SIGKILL) at random while studies run; every study must have each member once, with the bits
of a study here. scheduler: the scheduler and the process of the study are killed at random; the run is resumed with and
without a cluster. overhead: the share of the workers' time in which they do not train, for units of two and of ten
seconds. shipping: how often the data came to a worker. flat: memory of scheduler and study over 20,000 members.
scale: what this process spends on a unit and a member, measured, and from that a schedule for up to 1,000 workers,
computed. Prints lines for docs/scale.md.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import perceptory as pt
from perceptory.data import load_bundled

PORT = 8790


def study(seeds: int = 2, epochs: int = 300, widths: tuple[int, ...] = (8, 16, 24, 32)) -> pt.Study:
    networks = pt.MLP(hidden=pt.choice(*[(w,) for w in widths]), activation=pt.choice("tanh", "relu"))
    return pt.Study(networks=networks, epochs=epochs, patience=0, seeds=seeds)


def same(a: Any, b: Any) -> bool:
    """Whether two results have the same members, each once, with the same bits."""
    names = [[(m.candidate, m.fold, m.seed) for m in r.members] for r in (a, b)]
    bits = [[np.asarray(m.validation_cost).tobytes() for m in r.members] for r in (a, b)]
    return len(set(names[0])) == len(names[0]) and names[0] == names[1] and bits[0] == bits[1]


class Processes:
    """A scheduler and workers of one thread each, as a person would start them."""

    def __init__(self, workers: int):
        self.address = f"tcp://127.0.0.1:{PORT}"
        dask = str(Path(sys.executable).parent / "dask")
        self._quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._scheduler = [dask, "scheduler", "--port", str(PORT), "--no-dashboard"]
        self._workers = [dask, "worker", self.address, "--nthreads", "1", "--no-dashboard", "--nworkers", str(workers)]
        self.scheduler = subprocess.Popen(self._scheduler, **self._quiet)
        time.sleep(2)
        self.nannies = subprocess.Popen(self._workers, **self._quiet)

    def client(self, workers: int) -> Any:
        from distributed import Client

        client = Client(self.address, timeout=60, set_as_default=False)
        client.wait_for_workers(workers, timeout=120)
        return client

    def start_anew(self) -> None:
        """After the scheduler was killed."""
        self.scheduler.wait()
        self.scheduler = subprocess.Popen(self._scheduler, **self._quiet)

    def end(self) -> None:
        for process in (self.nannies, self.scheduler):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[tuple[Processes, Any]]:
    processes = Processes(workers)
    client = processes.client(workers)
    try:
        yield processes, client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=2)
        processes.end()


def kills(count: int) -> None:
    """`count` kills of workers at random, over as many studies as that takes."""
    data, asked, rng = load_bundled("diabetes"), study(), random.Random(1)
    here = asked.run(data)
    done = studies = bad = again = 0
    with cluster(4) as (_, client):
        while done < count:
            stop = threading.Event()
            hit: list[int] = []

            def shoot(stop: threading.Event = stop, hit: list[int] = hit, most: int = count - done) -> None:
                while not stop.wait(rng.uniform(0.3, 3.0)) and len(hit) < most:
                    with contextlib.suppress(Exception):
                        pids = list(client.run(os.getpid, on_error="ignore").values())
                        os.kill(rng.choice(pids), signal.SIGKILL)
                        hit.append(1)

            shooter = threading.Thread(target=shoot, daemon=True)
            shooter.start()
            result = asked.run(data, executor=client)
            stop.set()
            shooter.join()
            done, studies = done + len(hit), studies + 1
            bad += not same(result, here)
            again += result.environment["cluster"]["given_out_again"]
    print(
        f"kills: {done} of workers in {studies} studies of {len(here.members)} members, {again} units given out again"
    )
    print(f"  studies with a member lost, twice, or of other bits: {bad}")


RESUMED = """
import sys
import perceptory as pt
from perceptory.data import load_bundled
from benchmarks.cluster import study
from distributed import Client
client = Client(sys.argv[2], timeout=60, set_as_default=False) if sys.argv[2] != "none" else None
result = study().run(load_bundled("diabetes"), folder=sys.argv[1], resume=sys.argv[3] == "resume", executor=client)
import os; os._exit(0)
"""


def scheduler(count: int) -> None:
    """Kills of the scheduler, and of the process that asked; then the run is resumed."""
    data, rng = load_bundled("diabetes"), random.Random(2)
    here = study().run(data)
    for trial in range(count):
        with tempfile.TemporaryDirectory() as folder, cluster(2) as (processes, _):
            run = str(Path(folder) / "run")
            asked = subprocess.Popen([sys.executable, "-c", RESUMED, run, processes.address, "new"])
            parts = Path(run) / "chunks"
            while not list(parts.glob("*.members")) and asked.poll() is None:
                time.sleep(0.1)
            time.sleep(rng.uniform(0, 2))
            processes.scheduler.kill()
            if trial % 2 == 0:  # the study goes on alone, or ends with it
                asked.kill()
            asked.wait()
            kept = len(list(parts.glob("*.members")))
            elsewhere = "none"
            if trial % 4 == 0:
                processes.start_anew()
                elsewhere = processes.address
            subprocess.run([sys.executable, "-c", RESUMED, run, elsewhere, "resume"], check=True)
            good = pt.load_result(run).validation == here.validation
            how = "resumed" if trial % 2 == 0 else "went on alone"
            numbers = "same" if good else "OTHER"
            print(f"scheduler killed: {kept} parts kept, {how} with {elsewhere[:4]}: {numbers} numbers")


def overhead(seconds: float, workers: int = 2) -> None:
    """The share of the workers' time that is not training."""
    from perceptory.studies import units

    data = load_bundled("diabetes")
    with cluster(workers) as (_, client):
        epochs = 400
        while True:  # units of about so many seconds
            asked = study(seeds=1, epochs=epochs, widths=(32,))
            facts = asked.run(data, executor=client).environment["cluster"]
            each = facts["seconds"] / facts["units"]
            if 0.6 * seconds < each:
                break
            epochs = int(epochs * min(8.0, max(1.5, seconds / each)))
        asked = study(seeds=4, epochs=epochs, widths=(32,))
        units.UNIT_FLOPS = 1.0  # a block a unit
        facts = asked.run(data, executor=client).environment["cluster"]
    idle = 1 - facts["seconds"] / (workers * facts["elapsed"])
    each = facts["seconds"] / facts["units"]
    print(f"overhead: {facts['units']} units of {each:.1f} s on {workers} workers: {idle:.1%} not training")


def shipping(workers: int = 2) -> None:
    """How often the data of several groups came to each worker."""
    rng = np.random.default_rng(0)
    data = pt.read_arrays(rng.normal(size=(20_000, 50)), rng.normal(size=20_000))
    with cluster(workers) as (_, client):
        asked = study(seeds=1, epochs=2)
        result = asked.run(data, executor=client)
        log = client.run(lambda dask_worker: [len(t["keys"]) for t in dask_worker.transfer_incoming_log])
        held = client.run(_received)
    units = result.environment["cluster"]["units"]
    print(f"shipping: {units} units; data taken in by each worker: {sorted(held.values())}")
    print(f"  transfers between workers: {sorted(sum(v) for v in log.values())}")


def _received() -> int:
    from perceptory.training import remote

    return remote.received


def _memory(pid: int) -> float:
    """MiB."""
    fields = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(f for f in fields if f.startswith("VmRSS")).split()[1]) / 1024


def flat(members: int) -> None:
    """Memory of scheduler and study while many members are trained."""
    rng = np.random.default_rng(0)
    data = pt.read_arrays(rng.normal(size=(200, 3)), rng.normal(size=200))
    with cluster(4) as (processes, client):
        seen: list[tuple[int, float, float]] = []

        def look(state: dict[str, Any]) -> None:
            if not seen or state["members_done"] - seen[-1][0] >= members // 10:
                seen.append((state["members_done"], _memory(processes.scheduler.pid), _memory(os.getpid())))

        asked = study(seeds=members // 20, epochs=3, widths=(2, 3)).replace(validation=pt.KFold(5))
        began = time.perf_counter()
        asked.run(data, executor=client, progress=look)
        took = time.perf_counter() - began
    print(f"flat: {members} members in {took:.0f} s; done, scheduler MiB, study MiB:")
    print("  " + "; ".join(f"{n} {a:.0f} {b:.0f}" for n, a, b in seen))


def scale(quick: bool) -> None:
    """What this process spends on members and units; then a schedule of the same for many workers."""
    from perceptory.training.remote import train_unit

    del train_unit
    rng = np.random.default_rng(0)
    data = pt.read_arrays(rng.normal(size=(1000, 10)), rng.normal(size=1000))
    costs = []
    for seeds in (4, 16) if quick else (8, 64):
        inline = Inline()
        asked = study(seeds=seeds, epochs=2, widths=(8,)).replace(validation=pt.KFold(5))
        began = time.process_time()
        result = asked.run(data, executor=inline)
        own = time.process_time() - began - inline.seconds
        costs.append((result.environment["cluster"]["units"], len(result.members), own))
    (_, m1, t1), (u2, m2, t2) = costs
    member = (t2 - t1) / (m2 - m1)
    print(f"scale: this process spends {1000 * member:.2f} ms a member ({u2} units of {m2} members), units included")
    print("  | members | seconds a unit of 10 | workers | hours | of the ideal |")
    for members, seconds in ((10_000, 10.0), (10_000, 100.0), (100_000, 10.0), (100_000, 100.0)):
        for workers in (10, 100, 1000):
            took = schedule(members // 10, seconds, workers, 10 * member)
            ideal = members / 10 * seconds / workers
            print(f"  | {members:,} | {seconds:.0f} | {workers:,} | {took / 3600:.2f} | {ideal / took:.0%} |")


class Inline:
    """An engine that trains at once, in this process."""

    max_workers = 4

    def __init__(self) -> None:
        self.seconds = 0.0

    def submit(self, function: Any, *arguments: Any) -> Any:
        from concurrent.futures import Future

        began = time.process_time()
        future: Any = Future()
        future.set_result(function(*arguments))
        self.seconds += time.process_time() - began
        return future


def schedule(units: int, seconds: float, workers: int, own: float) -> float:
    """When the last unit is in: units of a spread of a tenth about `seconds` go to the first free worker; what this
    process does for each, `own` seconds, it does one after the other."""
    rng = np.random.default_rng(0)
    free = [0.0] * workers
    heapq.heapify(free)
    desk, last = 0.0, 0.0
    for length in seconds * (1 + 0.1 * rng.standard_normal(units)):
        desk = max(desk, heapq.heappop(free)) + own
        heapq.heappush(free, desk + max(0.0, length))
        last = max(last, desk + length)
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    quick = options.quick
    parts = {
        "kills": lambda: kills(4 if quick else 20),
        "scheduler": lambda: scheduler(1 if quick else 4),
        "overhead": lambda: [overhead(s) for s in ((2.0,) if quick else (2.0, 10.0))],
        "shipping": shipping,
        "flat": lambda: flat(2_000 if quick else 20_000),
        "scale": lambda: scale(quick),
    }
    for name in options.parts or parts:
        parts[name]()


if __name__ == "__main__":
    main()
