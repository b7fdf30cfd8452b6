"""What is at hand: `tapehouse sql`, `sample` and `test`."""
