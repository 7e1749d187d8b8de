import jax
import pytest

from perceptory import kernels
from perceptory.kernels import build


@pytest.fixture(scope="module")
def kernel(request):
    """The module's kernel, `KERNEL`, for both types of numbers; without it, its tests are skipped."""
    if not all(build.loads(request.module.KERNEL, dtype) for dtype in build.TYPES):
        pytest.skip(f"kernels {kernels.status()}")


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield
