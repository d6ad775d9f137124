"""The step time of a tiny network, where overhead is everything: 11-10-5-1, batch 32, Adam.

python bench/mlp_step.py

Prints the time of one replayed step alone, of a step inside `fit` on arrays, the difference (gathering
the batch, shuffling, and what Python does between epochs, per step), what a call of `fit` costs beside
its steps, and the step's kernels.
"""

from __future__ import annotations

import time

import numpy as np

import fastnn as keras
from fastnn import layers

BATCH, ROWS, EPOCHS = 32, 32 * 1000, 20


def main():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 11)).astype("float32")
    y = (x[:, 0] + x[:, 1] > 0).astype("int32")
    model = keras.Sequential(
        [
            layers.Input((11,)),
            layers.Dense(10, activation="relu"),
            layers.Dense(5, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    model.fit(x[:640], y[:640], batch_size=BATCH, epochs=2, verbose=0)

    for _ in range(4):  # warm: weights are made, the step is recorded
        model.train_on_batch(x[:BATCH], y[:BATCH])
    program = model.programs()[-1]
    steps = 20_000
    alone = min(timed(lambda: [program.run() for _ in range(1000)]) for _ in range(steps // 1000)) / 1000
    short, long = (
        min(timed(lambda n=n: model.fit(x, y, batch_size=BATCH, epochs=n, verbose=0)) for _ in range(3))
        for n in (1, 1 + EPOCHS)
    )
    in_fit = (long - short) / EPOCHS / (ROWS // BATCH)
    print(f"one replayed step      {alone * 1e6:7.1f} us ({program.calls} kernels, {program.threads} thread)")
    print(f"one step inside fit    {in_fit * 1e6:7.1f} us ({BATCH / in_fit:,.0f} samples/s)")
    print(f"outside the kernels    {(in_fit - alone) * 1e6:7.1f} us a step, gathering the batch included")
    print(f"a call of fit          {(short - in_fit * ROWS / BATCH) * 1e3:7.1f} ms beside its steps")
    print()
    print(program.describe())


def timed(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
