"""Shortcut Connections, Measured: the code of the book.

A network and an input go in, gradients come out as plain numbers, and figures
and assertions read those numbers. The modules stand in that order, and none
imports one that stands after it:

- :mod:`shortcuts.activations` and :mod:`shortcuts.networks` build networks,
- :mod:`shortcuts.gradients` measures them,
- :mod:`shortcuts.printed` holds the tables that the two sources print,
- :mod:`shortcuts.figures` draws; it alone needs Matplotlib, so import it by
  name.
"""

from shortcuts.activations import GELU
from shortcuts.gradients import (
    gradient_means,
    measure_gradients,
    print_gradients,
)
from shortcuts.networks import DeepNeuralNetwork

__all__ = [
    "GELU",
    "DeepNeuralNetwork",
    "gradient_means",
    "measure_gradients",
    "print_gradients",
]
