"""Real Keras runs on JAX, on the CPU, beside fastnn. Unwritten memory shows as NaN."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("FASTNN_POISON", "1")
