"""A prediction service over HTTP: the Open Inference Protocol, MLflow's invocations, and a page for people."""
