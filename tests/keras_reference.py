"""Real Keras, on JAX, which the tests compare with: `from keras_reference import keras`."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import keras

__all__ = ["keras"]
