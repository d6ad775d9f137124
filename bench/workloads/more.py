"""More models, of other proportions: what is fast on the first table should be fast on them too."""

from __future__ import annotations

import numpy as np

from .base import BCE, CCE, MSE, Workload, classes, images, series, to_themselves, truths, vectors, words

# --- the Keras family ----------------------------------------------------------------------------


def mlp(inputs: int, widths: list[int]):
    """Layers of these widths with ReLU, then ten classes."""
    return lambda k: [
        k.Input((inputs,)),
        *(k.layers.Dense(width, activation="relu") for width in widths),
        k.layers.Dense(10, activation="softmax"),
    ]


def vgg(k):
    la = k.layers
    layers = [k.Input((32, 32, 3))]
    for filters in (32, 64):
        for _ in range(2):
            layers += [la.Conv2D(filters, 3, padding="same"), la.BatchNormalization(), la.ReLU()]
        layers += [la.MaxPooling2D(), la.Dropout(0.25)]
    return [
        *layers, la.Flatten(), la.Dense(128, activation="relu"), la.Dropout(0.5), la.Dense(10, activation="softmax")
    ]  # fmt: skip


def separable(k):
    la = k.layers
    layers = [k.Input((32, 32, 3)), la.Conv2D(32, 3, padding="same", activation="relu")]
    for filters, stride in ((64, 2), (64, 1), (128, 2)):
        layers += [la.DepthwiseConv2D(3, strides=stride, padding="same"), la.BatchNormalization(), la.ReLU()]
        layers += [la.Conv2D(filters, 1), la.BatchNormalization(), la.ReLU()]
    return [*layers, la.GlobalAveragePooling2D(), la.Dense(10, activation="softmax")]


def lstm_stacked(k):
    la = k.layers
    return [
        k.Input((100,), dtype="int32"),
        la.Embedding(5000, 64),
        la.LSTM(64, return_sequences=True),
        la.LSTM(64),
        la.Dense(10, activation="sigmoid"),
    ]


def lstm_both_ways(k):
    la = k.layers
    return [
        k.Input((100,), dtype="int32"),
        la.Embedding(5000, 64),
        la.Bidirectional(la.LSTM(64)),
        la.Dense(10, activation="sigmoid"),
    ]


def gru_series(k):
    return [k.Input((48, 8)), k.layers.GRU(64), k.layers.Dense(1)]


def audio(k):
    la = k.layers
    return [
        k.Input((4000, 1)),
        la.Conv1D(16, 64, strides=4, activation="relu"),
        la.MaxPooling1D(4),
        la.Conv1D(32, 3, activation="relu"),
        la.MaxPooling1D(4),
        la.Conv1D(64, 3, activation="relu"),
        la.GlobalAveragePooling1D(),
        la.Dense(10, activation="softmax"),
    ]


def dense_autoencoder(k):
    d = k.layers.Dense
    return [
        k.Input((784,)), *(d(n, activation="relu") for n in (128, 32, 128)), d(784, activation="sigmoid"),
    ]  # fmt: skip


def text_average(k):
    la = k.layers
    return [
        k.Input((200,), dtype="int32"),
        la.Embedding(20_000, 64),
        la.GlobalAveragePooling1D(),
        la.Dense(64, activation="relu"),
        la.Dense(1, activation="sigmoid"),
    ]


# --- PyTorch --------------------------------------------------------------------------------------


def torch_mlp(inputs: int, widths: list[int]):
    def make(torch):
        nn = torch.nn
        pairs = [(nn.Linear(a, b), nn.ReLU()) for a, b in zip([inputs, *widths], widths)]
        return nn.Sequential(*(layer for pair in pairs for layer in pair), nn.Linear(widths[-1], 10))

    return make


def torch_vgg(torch):
    nn = torch.nn
    layers = []
    for inputs, filters in ((3, 32), (32, 64)):
        for channels in (inputs, filters):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(4096, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)
    )  # fmt: skip


def torch_separable(torch):
    nn = torch.nn
    layers, c = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(inplace=True)], 32
    for filters, stride in ((64, 2), (64, 1), (128, 2)):
        layers += [nn.Conv2d(c, c, 3, stride, 1, groups=c), nn.BatchNorm2d(c), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(c, filters, 1), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
        c = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))


def torch_lstm(layers: int, both_ways: bool):
    def make(torch):
        class Text(torch.nn.Module):
            def __init__(self):
                super().__init__()
                nn = torch.nn
                self.embedding = nn.Embedding(5000, 64)
                self.cell = nn.LSTM(64, 64, num_layers=layers, bidirectional=both_ways, batch_first=True)
                self.out = nn.Linear(128 if both_ways else 64, 10)

            def forward(self, x):
                states = self.cell(self.embedding(x))[1][0]  # the last of each layer and direction
                return self.out(torch.cat([states[0], states[1]], 1) if both_ways else states[-1])

        return Text()

    return make


def torch_gru_series(torch):
    class Series(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = torch.nn.GRU(8, 64, batch_first=True), torch.nn.Linear(64, 1)

        def forward(self, x):
            return self.out(self.cell(x)[1][0])

    return Series()


def torch_audio(torch):
    class Audio(torch.nn.Module):
        def __init__(self):
            super().__init__()
            nn = torch.nn
            self.body = nn.Sequential(
                nn.Conv1d(1, 16, 64, 4), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(16, 32, 3), nn.ReLU(), nn.MaxPool1d(4),
                nn.Conv1d(32, 64, 3), nn.ReLU(),
            )  # fmt: skip
            self.out = nn.Linear(64, 10)

        def forward(self, x):
            return self.out(self.body(x.reshape(len(x), 1, -1)).mean(2))  # with one channel, no copy

    return Audio()


def torch_dense_autoencoder(torch):
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 128), nn.ReLU(),
        nn.Linear(128, 784),
    )  # fmt: skip


def torch_text_average(torch):
    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            nn = torch.nn
            self.embedding = nn.EmbeddingBag(20_000, 64, mode="mean")  # lookup and mean in one
            self.out = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

        def forward(self, x):
            return self.out(self.embedding(x))

    return Text()


TEXT, COLOURS = words(100, 5000, truths, 10), images(32, 32, 3)
MORE = {
    "mlp-deep": Workload(
        32, vectors(64, classes, 10), mlp(64, [64] * 8), torch_mlp(64, [64] * 8), CCE, "MLP of 8 layers of 64, batch 32"
    ),
    "mlp-wide": Workload(
        128, vectors(256, classes, 10), mlp(256, [2048] * 2), torch_mlp(256, [2048] * 2), CCE,
        "256-2048-2048-10 MLP, batch 128",
    ),
    "vgg": Workload(
        64, COLOURS, vgg, torch_vgg, CCE, "VGG-like 32x32x3, batch norm, dropout, batch 64", images=True
    ),
    "separable": Workload(
        32, COLOURS, separable, torch_separable, CCE, "depthwise-separable CNN 32x32x3, batch 32", images=True
    ),
    "lstm-stacked": Workload(
        32, TEXT, lstm_stacked, torch_lstm(2, False), BCE, "Embedding, two LSTM 64, T=100, batch 32"
    ),
    "lstm-both-ways": Workload(
        32, TEXT, lstm_both_ways, torch_lstm(1, True), BCE, "Embedding, bidirectional LSTM 64, T=100, batch 32"
    ),
    "gru-series": Workload(64, series(48, 8), gru_series, torch_gru_series, MSE, "GRU 64 on 8 series, T=48, batch 64"),
    "audio": Workload(
        32, lambda rng, n: (series(4000, 1)(rng, n)[0], classes(rng, n, 10)), audio, torch_audio, CCE,
        "Conv1D net on 4000 samples, batch 32",
    ),
    "dense-autoencoder": Workload(
        128, to_themselves(lambda rng, n: [rng.random((n, 784), dtype=np.float32)]), dense_autoencoder, torch_dense_autoencoder, BCE,
        "784-128-32-128-784 autoencoder, batch 128",
    ),
    "text-average": Workload(
        64, words(200, 20_000, truths, 1), text_average, torch_text_average, BCE,
        "Embedding 20000x64, average of T=200, dense 64, batch 64",
    ),
}  # fmt: skip
