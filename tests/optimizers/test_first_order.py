"""Optimizers against loops in NumPy written from the equations, and against PyTorch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from perceptory.errors import InputError
from perceptory.optimizers.first_order import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    FirstOrder,
    GradientDescent,
    Momentum,
    Optax,
    RMSProp,
)
from perceptory.specs import combine, partition

STEPS = 25
H = np.array([[3.0, 0.4, 0.0], [0.4, 1.0, -0.3], [0.0, -0.3, 0.2]])
START = np.array([1.0, -2.0, 0.5])
MASK = np.array([1.0, 1.0, 0.0])
FIRST_ORDER = [name for name, make in OPTIMIZERS.items() if isinstance(make(), FirstOrder)]


def gradient(w):
    """Of ½ wᵀ H w - w₁."""
    return H @ w - np.array([1.0, 0.0, 0.0])


def run(static, rate, numbers, w, counts):
    """[step, weight] as training does it: numbers traced, w ← w + update."""
    spec = combine(static, numbers)
    transformation = optax.with_extra_args_support(spec.transformation())
    alpha = rate or (lambda count: spec.learning_rate)

    def step(carry, count):
        w, state = carry
        extra = {
            "rate": alpha(count),
            "precomputed": spec.precompute(count + 1, 0),
            "weight_mask": jnp.asarray(MASK, w.dtype),
        }
        update, state = transformation.update(
            jnp.asarray(H, w.dtype) @ w - jnp.array([1, 0, 0], w.dtype), state, w, **extra
        )
        return (w + update, state), w + update

    return jax.lax.scan(step, (w, transformation.init(w)), counts)[1]


def path(optimizer, rate=None, steps=STEPS, dtype=np.float64, jit=jax.jit):
    static, numbers = partition(optimizer)
    with jax.enable_x64(dtype == np.float64):
        arguments = np.asarray(numbers, dtype), START.astype(dtype), np.arange(steps, dtype=dtype)
        return np.asarray(jit(run, static_argnums=(0, 1))(static, rate, *arguments))


def loop(step, steps=STEPS):
    w, out = START.copy(), []
    for t in range(steps):
        w = step(w, gradient(w), t)
        out.append(w)
    return np.array(out)


def same(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("optimizer", [SGD(0.1), GradientDescent(0.1)])
def test_gradient_descent(optimizer):
    same(path(optimizer), loop(lambda w, g, t: w - 0.1 * g))


def test_only_gradient_descent_takes_all_rows():
    full = {name for name in FIRST_ORDER if OPTIMIZERS[name]().step_rows(32, 100) == 100}
    assert full == {"gradient_descent"}


@pytest.mark.parametrize("schedule", [None, lambda t: 0.1 / (1 + t)])
def test_momentum(schedule):
    """E24: v ← βv - α∇J, w ← w + v; with a schedule α is that of the step, and what is in v keeps its own."""
    v = np.zeros(3)

    def step(w, g, t):
        nonlocal v
        v = 0.8 * v - (schedule(t) if schedule else 0.05) * g
        return w + v

    same(path(Momentum(0.05, momentum=0.8), schedule), loop(step))


@pytest.mark.parametrize("schedule", [None, lambda t: 0.1 / (1 + t)])
def test_nesterov(schedule):
    """v ← βv - α∇J, w ← w + βv - α∇J."""
    v = np.zeros(3)

    def step(w, g, t):
        nonlocal v
        alpha = schedule(t) if schedule else 0.05
        v = 0.8 * v - alpha * g
        return w + 0.8 * v - alpha * g

    same(path(Momentum(0.05, momentum=0.8, nesterov=True), schedule), loop(step))


def test_nesterov_looks_ahead():
    """Equal to the form that takes the gradient at w + βv (Sutskever 2013), seen at the point looked ahead to."""
    alpha, beta = 0.05, 0.8
    w, v, ahead = START.copy(), np.zeros(3), []
    for _ in range(STEPS):
        v = beta * v - alpha * gradient(w + beta * v)
        w = w + v
        ahead.append(w + beta * v)
    same(path(Momentum(alpha, momentum=beta, nesterov=True)), np.array(ahead))


@pytest.mark.parametrize("form", ["usual", "fourth_root"])
def test_rmsprop(form):
    r = np.zeros(3)

    def step(w, g, t):
        nonlocal r
        r = 0.9 * r + 0.1 * g * g
        return w - 0.02 * g / np.sqrt(1e-6 + (r if form == "usual" else np.sqrt(r)))

    same(path(RMSProp(0.02, form=form)), loop(step))


def adam(alpha=0.03, beta1=0.9, beta2=0.999, decay=0.0, eps=1e-8, eps_root=0.0):
    s, r = np.zeros(3), np.zeros(3)

    def step(w, g, t):
        nonlocal s, r
        s = beta1 * s + (1 - beta1) * g
        r = beta2 * r + (1 - beta2) * g * g
        s_hat, r_hat = s / (1 - beta1 ** (t + 1)), r / (1 - beta2 ** (t + 1))
        return w - alpha * s_hat / (np.sqrt(r_hat + eps_root) + eps) - alpha * decay * MASK * w

    return step


def test_adam():
    same(path(Adam(0.03)), loop(adam()))
    same(path(Adam(0.03, beta1=0.5, beta2=0.9)), loop(adam(beta1=0.5, beta2=0.9)))
    numbers = {"eps": 0.3, "eps_root": 0.2}
    same(path(Adam(0.03, **numbers)), loop(adam(**numbers)))
    same(path(OPTIMIZERS["adam_eps_root"](learning_rate=0.03)), loop(adam(eps=0.0, eps_root=1e-6)))


def test_adam_in_single_precision_to_a_millionth(as_users):
    got = path(Adam(0.03), dtype=np.float32, jit=as_users)
    np.testing.assert_allclose(got, loop(adam()), rtol=0, atol=1e-6)


def moved_by(optimizer, gradients):
    """[step] a weight that starts at 0, under these gradients [step], in single precision."""
    static, numbers = partition(optimizer)
    return np.asarray(_moved_by(static, np.asarray(numbers, np.float32), np.asarray(gradients, np.float32)))


@partial(jax.jit, static_argnums=0)
def _moved_by(static, numbers, gradients):
    optimizer = combine(static, numbers)
    transformation = optax.with_extra_args_support(optimizer.transformation())

    def step(carry, at):
        (w, state), (count, gradient) = carry, at
        update, state = transformation.update(
            gradient[None], state, w, rate=1e-2, precomputed=optimizer.precompute(count + 1, 0), weight_mask=jnp.ones(1)
        )
        return (w + update, state), (w + update)[0]

    w = jnp.zeros(1, jnp.float32)
    steps = jnp.arange(len(gradients), dtype=jnp.float32)
    return jax.lax.scan(step, (w, transformation.init(w)), (steps, gradients))[1]


@jax.jit
def by_optax(gradient, eps, eps_root):
    """[step] a weight that starts at 0, by its Adam, under 50 times the same gradient."""
    reference, w = optax.adam(1e-2, eps=eps, eps_root=eps_root), jnp.zeros(1, jnp.float32)

    def step(carry, _):
        w, state = carry
        update, state = reference.update(jnp.full(1, gradient, jnp.float32), state, w)
        return (w + update, state), (w + update)[0]

    return jax.lax.scan(step, (w, reference.init(w)), length=50)[1]


@pytest.mark.parametrize(
    "numbers", [{}, {"eps": 1e-5}, {"eps": 0.0, "eps_root": 1e-6}, {"eps": 1e-4, "eps_root": 1e-8}]
)
@pytest.mark.parametrize("gradient", [1e-5, -1e-5, 1e-9, 1.0])
def test_adam_under_a_constant_gradient_equals_optax(gradient, numbers):
    expected = by_optax(gradient, **{"eps": 1e-8, "eps_root": 0.0, **numbers})
    np.testing.assert_allclose(moved_by(Adam(1e-2, **numbers), np.full(50, gradient)), expected, rtol=2e-4)


def test_epsilon_under_the_root_slows_small_gradients():
    """A gradient of 1e-5 moves a weight by 0.4995 in 50 steps at rate 0.01; with 1e-6 under the root by 0.0050."""
    small = np.full(50, 1e-5)
    assert moved_by(Adam(1e-2), small)[-1] == pytest.approx(-0.4995, abs=5e-5)
    assert moved_by(OPTIMIZERS["adam_eps_root"](learning_rate=1e-2), small)[-1] == pytest.approx(-0.0050, abs=5e-5)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_scale_of_the_cost_does_not_change_the_path_of_adam(scale):
    gradients = np.random.default_rng(0).normal(1, 1, 60)
    np.testing.assert_allclose(moved_by(Adam(1e-2), scale * gradients), moved_by(Adam(1e-2), gradients), rtol=1e-4)


def test_adamw_decays_weights_and_leaves_biases():
    same(path(AdamW(0.03, weight_decay=0.1)), loop(adam(decay=0.1)))
    same(path(AdamW(0.03, weight_decay=0.0)), loop(adam()))


@pytest.mark.parametrize(
    ("optimizer", "make"),
    [
        (SGD(0.1), lambda torch, w: torch.optim.SGD([w], lr=0.1)),
        (Momentum(0.05, momentum=0.8), lambda torch, w: torch.optim.SGD([w], lr=0.05, momentum=0.8)),
        (
            Momentum(0.05, momentum=0.8, nesterov=True),
            lambda torch, w: torch.optim.SGD([w], lr=0.05, momentum=0.8, nesterov=True),
        ),
    ],
)
def test_against_pytorch(optimizer, make):
    torch = pytest.importorskip("torch")
    same(path(optimizer), torch_path(torch, make))


@pytest.mark.parametrize("kind", ["Adam", "RMSprop"])
def test_adaptive_steps_against_pytorch_where_epsilon_does_not_matter(kind):
    """PyTorch has its ε beside the root, E25 under it: with ε next to nothing there, and gradients of the order of 1
    here, the difference is 1e-6 relative at a step."""
    torch = pytest.importorskip("torch")
    if kind == "Adam":
        ours, theirs = Adam(0.003), lambda torch, w: torch.optim.Adam([w], lr=0.003, eps=1e-30)
    else:
        ours, theirs = RMSProp(0.003), lambda torch, w: torch.optim.RMSprop([w], lr=0.003, alpha=0.9, eps=1e-30)
    np.testing.assert_allclose(path(ours), torch_path(torch, theirs), rtol=0, atol=2e-5)


def torch_path(torch, make):
    w = torch.tensor(START, requires_grad=True)
    optimizer, out = make(torch, w), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        (0.5 * w @ torch.tensor(H) @ w - w[0]).backward()
        optimizer.step()
        out.append(w.detach().numpy().copy())
    return np.array(out)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_every_optimizer_descends_and_is_finite_in_single_precision(name):
    make = OPTIMIZERS[name]
    w = path(make(learning_rate=0.05), steps=60, dtype=np.float32)
    assert np.isfinite(w).all()

    def value(w):
        return 0.5 * w @ H @ w - w[0]

    assert value(w[-1].astype(float)) < 0.3 * value(START)


def test_zero_gradients_are_no_division_by_zero():
    for name in FIRST_ORDER:
        spec = OPTIMIZERS[name]()
        t = optax.with_extra_args_support(spec.transformation())
        extra = {"rate": 0.1, "precomputed": spec.precompute(1, 0), "weight_mask": jnp.ones(2)}
        update, _ = t.update(jnp.zeros(2), t.init(jnp.zeros(2)), jnp.zeros(2), **extra)
        assert np.array_equal(update, jnp.zeros(2)), name


def test_any_optax_transformation():
    lion = optax.lion(0.02)
    w, state, out = jnp.asarray(START, jnp.float32), None, []
    state = lion.init(w)
    for _ in range(5):
        update, state = lion.update(jnp.asarray(H, jnp.float32) @ w - jnp.array([1.0, 0, 0]), state, w)
        w = w + update
        out.append(np.asarray(w))
    np.testing.assert_allclose(path(Optax(lion), steps=5, dtype=np.float32), out, rtol=1e-6, atol=1e-7)
    assert Optax(lion, name="lion").label == "lion"
    with pytest.raises(InputError, match=r"Optax needs a gradient transformation, got 0\.1\. Example: optax\.lion"):
        Optax(0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(0), r"Adam\.learning_rate needs a number above 0, got 0"),
        (lambda: Adam(float("nan")), "finite"),
        (lambda: Adam(True), "finite number, got True"),
        (lambda: Adam(0.1, beta1=1.0), r"Adam\.beta1 needs a number of at least 0 and below 1"),
        (lambda: Momentum(0.1, momentum=-0.1), r"Momentum\.momentum"),
        (lambda: RMSProp(form="fourthroot"), r"unknown form of RMSProp 'fourthroot'\. Did you mean 'fourth_root'\?"),
        (lambda: OPTIMIZERS["adma"], r"unknown optimizer 'adma'\. Did you mean 'adam'\?"),
        (lambda: AdamW(weight_decay=-1), r"AdamW\.weight_decay needs a number of at least 0"),
        (lambda: Adam(eps=-1e-8), r"Adam\.eps needs a number of at least 0"),
        (lambda: Adam(eps=0), r"Adam needs eps or eps_root above 0, got 0 for both.*Example: eps=1e-8"),
        (lambda: AdamW(eps=0.0, eps_root=0.0), r"AdamW needs eps or eps_root above 0"),
        (lambda: RMSProp(eps_root=0), r"RMSProp\.eps_root needs a number above 0"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_labels():
    assert Adam(0.01).label == "Adam 0.01"
    assert Momentum(1e-3).label == "Momentum 0.001"
