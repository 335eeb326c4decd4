"""Measures of what the models and stages do: one module a task, conventions and sources in its docstring."""
