"""A model as something that runs without this package: an ONNX graph, or source code in Python or C."""
