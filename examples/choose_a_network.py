"""Choose a network for a table by cross-validation, and measure the choice once on sealed rows."""

import perceptory as pt

study = pt.Study(
    networks=[pt.MLP(()), pt.MLP((16,)), pt.MLP((32, 32), activation=pt.choice("tanh", "relu"))],
    optimizer=pt.Adam(pt.Cosine(pt.choice(3e-3, 1e-2))),
    validation=pt.KFold(5),
    epochs=60,
    patience=20,
)
result = study.run(pt.load_bundled("diabetes"))
result.test()
print(result.summary())
