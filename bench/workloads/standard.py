"""The models of the first table: small ones, as people train them every day."""

from __future__ import annotations

from .base import BCE, CCE, Workload, classes, images, to_themselves, truths, vectors, words

# --- the Keras family ----------------------------------------------------------------------------


def mlp_tiny(k):
    d = k.layers.Dense
    return [k.Input((11,)), d(10, activation="relu"), d(5, activation="relu"), d(1, activation="sigmoid")]


def mlp(k):
    d = k.layers.Dense
    return [k.Input((784,)), d(512, activation="relu"), d(512, activation="relu"), d(10, activation="softmax")]


def cnn(k):
    la = k.layers
    return [
        k.Input((28, 28, 1)),
        la.Conv2D(32, 3, activation="relu"),
        la.MaxPooling2D(),
        la.Conv2D(64, 3, activation="relu"),
        la.MaxPooling2D(),
        la.Flatten(),
        la.Dense(64, activation="relu"),
        la.Dense(10, activation="softmax"),
    ]


def recurrent(cell: str):
    return lambda k: [
        k.Input((100,), dtype="int32"),
        k.layers.Embedding(5000, 64),
        getattr(k.layers, cell)(128),
        k.layers.Dense(10, activation="sigmoid"),
    ]


def text_cnn(k):
    la = k.layers
    return [
        k.Input((100,), dtype="int32"),
        la.Embedding(5000, 64),
        la.Conv1D(64, 3, padding="same", activation="relu"),
        la.GlobalMaxPooling1D(),
        la.Dense(64, activation="relu"),
        la.Dense(10, activation="softmax"),
    ]


def autoencoder(k):
    la = k.layers
    return [
        k.Input((28, 28, 1)),
        la.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
        la.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
        la.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu"),
        la.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
        la.Conv2D(1, 3, padding="same", activation="sigmoid"),
    ]


# --- PyTorch: logits at the end, as its losses want them ------------------------------------------


def torch_mlp_tiny(torch):
    nn = torch.nn
    return nn.Sequential(nn.Linear(11, 10), nn.ReLU(), nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1))


def torch_mlp(torch):
    nn = torch.nn
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def torch_cnn(torch):
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def torch_recurrent(cell: str):
    def make(torch):
        class Text(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding = torch.nn.Embedding(5000, 64)
                self.cell = getattr(torch.nn, cell)(64, 128, batch_first=True)
                self.out = torch.nn.Linear(128, 10)

            def forward(self, x):
                return self.out(self.cell(self.embedding(x))[0][:, -1])

        return Text()

    return make


def torch_text_cnn(torch):
    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            nn = torch.nn
            self.embedding, self.conv = nn.Embedding(5000, 64), nn.Conv1d(64, 64, 3, padding=1)
            self.out = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

        def forward(self, x):
            return self.out(self.conv(self.embedding(x).transpose(1, 2)).relu().amax(2))

    return Text()


def torch_autoencoder(torch):
    nn = torch.nn
    up = dict(stride=2, padding=1, output_padding=1)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(64, 64, 3, **up), nn.ReLU(), nn.ConvTranspose2d(64, 32, 3, **up), nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1),
    )  # fmt: skip


PIXELS, TEXT = images(28, 28, 1), words(100, 5000, truths, 10)
STANDARD = {
    "mlp-tiny": Workload(32, vectors(11, truths, 1), mlp_tiny, torch_mlp_tiny, BCE, "11-10-5-1 MLP, batch 32"),
    "mlp-32": Workload(32, vectors(784, classes, 10), mlp, torch_mlp, CCE, "784-512-512-10 MLP, batch 32"),
    "mlp-512": Workload(512, vectors(784, classes, 10), mlp, torch_mlp, CCE, "784-512-512-10 MLP, batch 512"),
    "cnn": Workload(32, PIXELS, cnn, torch_cnn, CCE, "MNIST CNN (32, 64, dense 64), batch 32", images=True),
    "lstm": Workload(32, TEXT, recurrent("LSTM"), torch_recurrent("LSTM"), BCE, "Embedding, LSTM 128, T=100, batch 32"),
    "gru": Workload(32, TEXT, recurrent("GRU"), torch_recurrent("GRU"), BCE, "the same with GRU"),
    "rnn": Workload(32, TEXT, recurrent("SimpleRNN"), torch_recurrent("RNN"), BCE, "the same with SimpleRNN"),
    "text-cnn": Workload(
        32, words(100, 5000, classes, 10), text_cnn, torch_text_cnn, CCE, "Embedding, Conv1D 64x3, T=100, batch 32"
    ),
    "autoencoder": Workload(
        128,
        to_themselves(PIXELS),
        autoencoder,
        torch_autoencoder,
        BCE,
        "conv autoencoder 28x28, batch 128",
        images=True,
    ),
}
