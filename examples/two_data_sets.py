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
    print(f"{candidate.label:30} RC = {candidate.mean:8.1f}   on A and B: {candidate.per_fold}")
