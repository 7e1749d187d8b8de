"""A sigmoid output under squared error: the gradient fades where the network is wrong and sure of it.

∂J/∂z = (y - t) y (1 - y) for the squared error, y - t for the likelihood. Then how far plain gradient descent gets with
either in 200 epochs.
"""

import jax
import jax.numpy as jnp
import numpy as np

import perceptory as pt

costs = {"squared error": pt.SigmoidSquaredError(), "likelihood": pt.SigmoidCrossEntropy()}
z = jnp.array([[-12.0], [-6.0], [-2.0], [0.0], [2.0], [6.0]])
slopes = {
    name: jax.jit(jax.grad(lambda z, cost=cost: cost.per_row(z, jnp.ones_like(z)).sum()))(z)
    for name, cost in costs.items()
}
print("The target is 1.\n     z        y   ∂J/∂z squared error   ∂J/∂z likelihood")
for i, y in enumerate(np.asarray(jax.nn.sigmoid(z))[:, 0]):
    print(f"{z[i, 0]:6.0f}  {y:7.5f}  {slopes['squared error'][i, 0]:20.6f}  {slopes['likelihood'][i, 0]:17.6f}")

data = pt.load_bundled("breast_cancer")
for name, cost in costs.items():
    study = pt.Study(
        pt.MLP((8,)), cost=cost, optimizer=pt.GradientDescent(0.5), epochs=200, patience=0, validation=pt.HoldOut(0.3)
    )
    result = study.run(data)
    curve = result.members[0].train_cost
    print(f"{name}: accuracy {result.validation['accuracy']:.3f}, cost {curve[0]:.4f} -> {curve[-1]:.4f}")
