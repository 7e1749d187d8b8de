"""Networks among scikit-learn's estimators: a pipeline over mixed columns, a grid, and a whole study inside `fit`."""

import numpy as np
import polars as pl
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from perceptory import NetworkRegressor, NetworkRegressorCV

data = load_diabetes(as_frame=True, scaled=False)
frame = pl.from_pandas(data.data).with_columns(
    pl.when(pl.col("sex") > 1).then(pl.lit("second")).otherwise(pl.lit("first")).cast(pl.Categorical).alias("sex")
)  # a categorical column goes in as it is
train, test, y, y_test = train_test_split(frame, data.target.to_numpy(), random_state=0)

network = NetworkRegressor(hidden=(32,), learning_rate=1e-2, epochs=100, random_state=0)
print(f"one network: R2 {network.fit(train, y).score(test, y_test):.3f}, best epoch {network.best_epoch_}")
low, high = network.predict_interval(test, coverage=0.9).T
inside = np.mean((low <= y_test) & (y_test <= high))
print(f"90 % intervals hold {inside:.0%} of new patients, {np.mean(high - low):.0f} wide")

columns = make_column_transformer(
    (SplineTransformer(n_knots=4), ["bmi", "bp"]), ("drop", ["sex"]), remainder="passthrough"
)
pipeline = make_pipeline(columns.set_output(transform="polars"), network)
grid = GridSearchCV(pipeline, {"networkregressor__penalty": [1e-3, 1e-2, 1e-1]}, cv=3)
grid.fit(train, y)
print(f"splines and a grid: R2 {grid.score(test, y_test):.3f} with {grid.best_params_}")

study = NetworkRegressorCV([(16,), (32, 32)], penalty=[1e-3, 1e-2, 1e-1], epochs=100, cv=5, random_state=0)
print(f"a study: R2 {study.fit(train, y).score(test, y_test):.3f} with {study.best_label_}")
low, high = study.predict_interval(test, coverage=0.9).T
inside = np.mean((low <= y_test) & (y_test <= high))
print(f"90 % intervals (CV+) hold {inside:.0%}, {np.mean(high - low):.0f} wide")
