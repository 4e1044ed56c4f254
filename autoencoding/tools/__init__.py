"""What is done with a model: evaluation, estimators, plots, the scripts' arguments and tables."""
