"""What is done with a trained model: evaluation, plots, the scripts' arguments."""
