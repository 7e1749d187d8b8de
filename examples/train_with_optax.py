"""Any Optax transformation trains a study; here gradient clipping and Lion."""

import optax

import perceptory as pt

lion = pt.Optax(optax.chain(optax.clip_by_global_norm(1.0), optax.lion(1e-3)), name="clipped Lion")
study = pt.Study([pt.MLP((16, 16))], optimizer=lion, validation=pt.StratifiedKFold(5), epochs=40)
result = study.run(pt.load_bundled("iris"))
print(result.test())
