"""The kernel of kernel neurons against NumPy and against the program: values, scaling, missing numbers."""

import numpy as np
import pytest

import perceptory as pt
from perceptory.kernels import neurons
from perceptory.models.by_kernel import ByKernel, ByNeurons
from perceptory.networks.kernel_ridge import KERNELS

KERNEL = "neurons"
pytestmark = pytest.mark.usefixtures("kernel")
OF_DISTANCE = {
    "laplacian": lambda a, b: np.exp(-np.abs(a - b).sum(axis=2)),
    "exponential": lambda a, b: np.exp(-np.sqrt(np.maximum(((a - b) ** 2).sum(axis=2), 1e-12))),
    "gaussian": lambda a, b: np.exp(-0.5 * ((a - b) ** 2).sum(axis=2)),
}


def some(kind, numbers, flags, bins=0):
    """Two networks of 40 centers, of which 5 say nothing, and two outputs."""
    random, width = np.random.default_rng(0), len(numbers) + len(flags)
    centers = random.normal(size=(2, 40, width))
    centers[..., len(numbers) :] = centers[..., len(numbers) :] > 0
    edges = np.sort(np.round(random.normal(size=(2, len(numbers), bins + 1))), axis=2) if bins else None
    return neurons.Centers(
        kind, numbers, flags, random.normal(size=(2, len(numbers))), random.random((2, len(numbers))) + 0.5, edges,
        random.random((2, width)), centers, random.normal(size=(2, 40, 2)) * (np.arange(40)[:, None] < 35),
        random.normal(size=(2, width, 2)), random.normal(size=(2, 2)),
    )  # fmt: skip


def by_numpy(of, k, x):
    """Outputs of network k for scaled inputs."""
    number = (x[:, of.numbers] - of.center[k]) * of.factor[k]
    if of.edges is not None:
        low, width = of.edges[k, :, :-1], np.diff(of.edges[k], axis=1)
        shares = np.clip((number[:, :, None] - low) / np.where(width > 0, width, np.inf), 0, 1)
        number = (shares.sum(axis=2) / (width > 0).sum(axis=1) - 0.5) * 12**0.5
    v = np.concatenate([number, x[:, of.flags]], axis=1)
    a, b = v * of.narrowness[k], of.centers[k] * of.narrowness[k]
    return OF_DISTANCE[of.kernel](a[:, None], b[None]) @ of.strengths[k] + v @ of.weight[k] + of.bias[k]


def test_every_kernel_is_tested():
    assert set(OF_DISTANCE) == set(neurons.KINDS) == set(KERNELS)


@pytest.mark.parametrize("kind", OF_DISTANCE)
@pytest.mark.parametrize(
    ("numbers", "flags", "bins"), [((0, 2, 3), (1, 4), 8), ((0, 1, 2, 3, 4), (), 0), ((), (0, 1, 2), 0)]
)
def test_values(kind, numbers, flags, bins):
    of, random = some(kind, numbers, flags, bins), np.random.default_rng(1)
    shift, factor = random.normal(size=(2, 2, len(numbers) + len(flags)))
    shift[:, flags], factor[:, flags] = 0, 1
    x = random.normal(size=(11, shift.shape[1]))
    x[:, flags] = x[:, flags] > 0
    x[3, numbers] = np.nan
    expected = [by_numpy(of, k, np.nan_to_num((x + shift[k]) * factor[k])) for k in (0, 1)]
    for dtype, close in ((np.float64, 1e-10), (np.float32, 2e-3)):
        out = np.empty((2, 11, 2), dtype)
        neurons.Machines(of, shift, factor, dtype)(x.astype(dtype), out)
        assert np.allclose(out, expected, atol=close, rtol=close)


def test_arrays_that_do_not_fit_are_refused():
    made = neurons.Machines(some("gaussian", (0, 1), ()), np.zeros((2, 2)), np.ones((2, 2)), float)
    for x, out in ((np.zeros((3, 3)), np.zeros((2, 3, 2))), (np.zeros((3, 2)), np.zeros((2, 2, 2)))):
        with pytest.raises(ValueError, match="do not fit"):
            made(x, out)


def test_a_model_says_the_same_by_its_program(untrained, monkeypatch):
    model, frame = untrained(pt.KernelRidge(centers=40, inputs="standard"))
    by_kernel = model.distributions(frame)
    assert isinstance(ByKernel.of_model(model), ByNeurons)
    monkeypatch.setattr(ByKernel, "of_model", lambda model: None)
    assert np.allclose(by_kernel, model.distributions(frame), rtol=1e-4, atol=1e-4)
