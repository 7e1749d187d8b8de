"""A run as a model of MLflow, which logs it, loads it again and serves it like its own.

Needs MLflow: pip install mlflow-skinny pandas
"""

import tempfile
from pathlib import Path

import numpy as np

import perceptory as pt
from perceptory.data import load_bundled

try:
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature
except ImportError:
    mlflow = None
Base = object if mlflow is None else mlflow.pyfunc.PythonModel


class Perceptory(Base):
    """The model file is an artifact of its own, so what MLflow keeps is what `Model.load` reads."""

    def load_context(self, context) -> None:
        self.model = pt.Model.load(context.artifacts["model"])

    def predict(self, context, model_input, params=None) -> np.ndarray:
        return self.model.predict(model_input)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = load_bundled("diabetes")
        result = pt.Study(pt.MLP((16,)), epochs=30).run(data, folder=Path(folder) / "run", open_test=True)
        table = pd.DataFrame({column.name: column.data for column in data.columns})

        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("diabetes", artifact_location=(Path(folder) / "artifacts").as_uri())
        mlflow.set_experiment("diabetes")
        with mlflow.start_run():
            mlflow.log_params({"chosen": result.candidate(result.best).label, "networks": len(result.members)})
            mlflow.log_metrics({f"test_{name}": value for name, value in result.tested.items() if np.isscalar(value)})
            mlflow.log_artifact(str(Path(folder) / "run" / "report.html"))
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=Perceptory(),
                artifacts={"model": str(Path(folder) / "run" / "model.safetensors")},
                signature=infer_signature(table, result.model.predict(table)),
            )

        loaded = mlflow.pyfunc.load_model(logged.model_uri)
        difference = np.max(np.abs(loaded.predict(table) - result.model.predict(table)))
        print(f"logged as {logged.model_uri.split('/')[0]}/..., loaded again: predictions differ by {difference}")


if mlflow is None:
    print("This example needs MLflow: pip install mlflow-skinny pandas")
else:
    main()
