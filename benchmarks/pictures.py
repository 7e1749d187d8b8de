"""How fast pictures are decoded, and what of them is held: `python -m benchmarks.pictures [PICTURES] [SIDE]`.

A folder of JPEG files is generated and read by one thread and by two, in turns, each time in a process of its own, and
once more by one that then trains a network for an epoch. Memory is the peak of the process beyond what it holds once
everything is imported, as a multiple of the pictures as bytes: 1 means that nothing is held twice.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

READ = """
import resource, sys, threading, time
import jax, numpy as np, PIL.Image, polars
import perceptory as pt
from perceptory.data import ahead, read_images
folder, cores, trains = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ahead.os.cpu_count = lambda: cores
study = pt.Study(pt.CNN((4,)), validation=pt.HoldOut(0.2), epochs=1, patience=0, batch_size=32)
if trains:  # what is compiled and kept is not memory of pictures
    few = read_images(folder)
    study.run(few.take(np.arange(0, len(few.inputs), 20)))
    del few
def now():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before, most, ended = now(), [0], threading.Event()
def watch():
    while not ended.wait(0.005):
        most[0] = max(most[0], now())
watching = threading.Thread(target=watch)
watching.start()
start = time.perf_counter(), time.process_time()
data = read_images(folder)
seconds, processor = time.perf_counter() - start[0], time.process_time() - start[1]
if trains:
    study.run(data)
ended.set()
watching.join()
print(len(data.inputs) / seconds, len(data.inputs) / processor, (most[0] - before) / data.inputs.nbytes)
"""


def write(folder: Path, pictures: int, side: int) -> None:
    """Two classes of JPEG files: smooth random pictures, half of them brighter."""
    from PIL import Image

    random = np.random.default_rng(0)
    for k in range(pictures):
        coarse = random.integers(0, 128, (side // 8, side // 8, 3)) + 127 * (k % 2)
        place = folder / ("dark", "bright")[k % 2] / f"{k:05d}.jpg"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(coarse.astype(np.uint8)).resize((side, side)).save(place, quality=90)


def main(pictures: int = 2000, side: int = 128, turns: int = 3) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), pictures, side)
        found: dict[tuple[int, int], list[list[float]]] = {(1, 0): [], (2, 0): [], (2, 1): []}
        for _ in range(turns):
            for (cores, trains), results in found.items():
                command = [sys.executable, "-c", READ, folder, str(cores), str(trains)]
                printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                results.append([float(number) for number in printed.split()])
        for (cores, trains), results in found.items():
            rate, by_processor, held = map(statistics.median, zip(*results, strict=True))
            what = f"{pictures} pictures {side} x {side} x 3, {cores} thread{'s' * (cores > 1)}"
            print(
                f"{what + ', and a study' * trains:<56} {rate:>8,.0f} a second  {by_processor:>8,.0f} a second of the"
                f" processor  {held:.2f} times their bytes at most"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
