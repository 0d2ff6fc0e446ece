"""Shortcut Connections, Measured: the code of the book.

A network and an input go in, gradients come out as plain numbers, and figures
and assertions read those numbers. The modules stand in that order, and none
imports one that stands after it:

- :mod:`shortcuts._checks` refuses bad input in the same words everywhere,
- :mod:`shortcuts.activations`, :mod:`shortcuts.networks`,
  :mod:`shortcuts.blocks`, :mod:`shortcuts.transformers` and
  :mod:`shortcuts.streams` build networks, and :mod:`shortcuts.tasks` is what
  some are trained on,
- :mod:`shortcuts.weights` says what is measured, :mod:`shortcuts.gradients`
  and :mod:`shortcuts.jacobians` measure one network at one time,
- :mod:`shortcuts.watching` and :mod:`shortcuts.auditing` measure one of the
  reader's, and :mod:`shortcuts.logs` keeps the numbers of a training,
- :mod:`shortcuts.alike` trains modules of one shape side by side,
- :mod:`shortcuts.ensembles` builds and measures many at once,
- :mod:`shortcuts.mean_field` predicts what wide ones do,
- :mod:`shortcuts.statistics` says what many numbers say together,
- :mod:`shortcuts.printed` holds the tables that the two sources print,
- :mod:`shortcuts.figures` draws; it alone needs Matplotlib.

What needs only torch is here by name; import the others' names from them.
"""

from shortcuts.activations import GELU
from shortcuts.gradients import (
    gradient_means,
    measure_gradients,
    measure_loss,
    print_gradients,
)
from shortcuts.logs import GradientLog
from shortcuts.networks import DeepNeuralNetwork
from shortcuts.watching import Watch

__all__ = [
    "GELU",
    "DeepNeuralNetwork",
    "GradientLog",
    "Watch",
    "gradient_means",
    "measure_gradients",
    "measure_loss",
    "print_gradients",
]
