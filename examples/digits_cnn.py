"""Trains a small convolutional network on real images, start to finish.

python examples/digits_cnn.py                        8x8 digits that ship with fastnn (seconds)
python examples/digits_cnn.py --data fashion-mnist   60,000 images of Debian's dataset-fashion-mnist

Prints the model, the training progress, the accuracy on held-out images and the speed beside the
same network in plain NumPy; saves the model, loads it again and compares predictions; writes
learning curves and the misread images to out/<data>.png.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from numpy_cnn import images_per_second

import fastnn as keras
from fastnn import layers

TARGET = {"digits": 0.985, "fashion-mnist": 0.91}
EPOCHS = {"digits": 30, "fashion-mnist": 5}
BATCH = {"digits": 32, "fashion-mnist": 64}


def load(name):
    """((x_train, y_train), (x_test, y_test), class names), images as float32 (n, side, side, 1) in [0, 1]."""
    if name == "digits":
        (x, y), (x_test, y_test) = keras.datasets.digits.load_data()
        top, names = 16.0, [str(d) for d in range(10)]
    else:
        (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
        top, names = 255.0, list(keras.datasets.fashion_mnist.CLASS_NAMES)
    scale = lambda images: (images[..., None] / top).astype("float32")  # noqa: E731
    return (scale(x), y), (scale(x_test), y_test), names


def build(side):
    return keras.Sequential(
        [
            layers.Input((side, side, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits_cnn",
    )


def draw(path, history, images, truth, predicted, names):
    """Learning curves above a sheet of misread images."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        print('no picture: matplotlib is missing, install it with: pip install "fastnn-ml[demo]"')
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    wrong = np.flatnonzero(truth != predicted)[:20]
    figure = plt.figure(figsize=(10, 8), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.2])
    for axes, key in zip(top.subplots(1, 2), ("loss", "accuracy")):
        epochs = [e + 1 for e in history.epoch]
        axes.plot(epochs, history.history[key], label="training")
        axes.plot(epochs, history.history[f"val_{key}"], label="held out")
        axes.set(xlabel="epoch", ylabel=key)
        axes.legend()
        axes.grid(alpha=0.3)
    bottom.suptitle(f"{int((truth != predicted).sum())} of {len(truth)} held-out images are misread")
    for axes, i in zip(bottom.subplots(2, 10, squeeze=False).flat, [*wrong, *[-1] * 20]):
        axes.axis("off")
        if i >= 0:
            axes.imshow(images[i, ..., 0], cmap="gray_r")
            axes.set_title(f"{names[predicted[i]]}\nis {names[truth[i]]}", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"picture: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=sorted(TARGET), default="digits")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    keras.utils.set_random_seed(arguments.seed)
    try:
        (x, y), (x_test, y_test), names = load(arguments.data)
    except FileNotFoundError as error:
        sys.exit(str(error))
    batch, epochs = BATCH[arguments.data], arguments.epochs or EPOCHS[arguments.data]

    model = build(x.shape[1])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()

    begin = time.perf_counter()
    history = model.fit(x, y, batch_size=batch, epochs=epochs, validation_data=(x_test, y_test))
    seconds = time.perf_counter() - begin
    loss, accuracy = model.evaluate(x_test, y_test, batch_size=256, verbose=0)
    print(f"\nheld-out accuracy {accuracy:.2%}, loss {loss:.4f}, after {epochs} epochs in {seconds:.1f} s")

    # Epoch times without validation, after everything is warm.
    begin = time.perf_counter()
    repeats = max(1, 20_000 // len(x))
    twin = build(x.shape[1])
    twin.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    twin.fit(x[: batch * 4], y[: batch * 4], batch_size=batch, verbose=0)
    begin = time.perf_counter()
    twin.fit(x, y, batch_size=batch, epochs=repeats, verbose=0)
    ours = repeats * len(x) / (time.perf_counter() - begin)
    numpys = images_per_second(x, y.astype(np.int64), batch)
    print(f"training speed {ours:,.0f} images/s; the same network in NumPy {numpys:,.0f} ({ours / numpys:.1f} x)")

    path = arguments.out / f"{arguments.data}.fnn"
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    probabilities = model.predict(x_test, verbose=0)
    again = keras.saving.load_model(path).predict(x_test, verbose=0)
    same = np.array_equal(probabilities, again)
    print(f"saved to {path} ({path.stat().st_size / 1e6:.1f} MB); loaded again, predictions "
          f"{'are the same' if same else 'DIFFER'}")  # fmt: skip
    draw(arguments.out / f"{arguments.data}.png", history, x_test, y_test, probabilities.argmax(1), names)

    target = TARGET[arguments.data]
    if not same or (arguments.epochs is None and accuracy < target):
        sys.exit(f"expected the same predictions and at least {target:.1%} accuracy")


if __name__ == "__main__":
    main()
