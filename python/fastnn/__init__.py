"""fastnn: Keras' layers on hand-written kernels, trained by recorded programs."""

from . import _core, config
