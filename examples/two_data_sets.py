"""[E27]: fit on A and judge on B, fit on B and judge on A; the criterion is the mean of the two errors."""

import perceptory as pt

study = pt.Study(
    networks=[pt.MLP(()), pt.MLP((4,)), pt.MLP((16,)), pt.MLP((64,))],
    optimizer=pt.Adam(1e-2),
    validation=pt.TwoSets(),
    score="mse",
    epochs=60,
    test=0.0,
)
result = study.run(pt.load_bundled("diabetes"))
for candidate in result.candidates:
    on_a, on_b = candidate.per_fold
    print(f"{candidate.label:24} RC = {candidate.mean:.0f}, on A {on_a:.0f}, on B {on_b:.0f}")
