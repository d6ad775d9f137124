"""One peer with one model in a process of its own, for bench/peers.py:  worker.py PEER WORKLOAD POLICY THREADS

POLICY is "float32", or "mixed_bfloat16": Keras' policy of that name, and torch.autocast in PyTorch.
"""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path

import numpy as np
from driver import serve
from workloads import WORKLOADS

PREDICT_BATCH = 256
MEMORY_BATCHES = 32  # the same data for every peer, whatever its speed
MOST_ROWS = 1_000_000
MOST_BYTES = 200e6  # of inputs; what is larger times the system's page faults, in results as large


class KerasLike:
    """fastnn, or Keras on one of its backends: the same code."""

    def __init__(self, peer, workload, policy, threads):
        if peer.startswith("fastnn"):
            import fastnn as keras

            keras._core.set_max_threads(threads)
            keras.config.set_matmul_precision("float32_strict" if peer == "fastnn-strict" else "float32")
            self.version = f"fastnn {keras.__version__} ({keras._core.current_isa()})"
        else:
            os.environ["KERAS_BACKEND"] = backend = peer.removeprefix("keras-")
            import keras

            self.version = f"Keras {keras.__version__} on {backend} {__import__(backend).__version__}"
            if backend == "torch":
                __import__("torch").set_num_threads(threads)
        self.workload, self.own = workload, peer.startswith("fastnn")
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        self.model = keras.Sequential(workload.keras(keras))
        x, y = workload.data(np.random.default_rng(0), workload.batch)
        begin = time.perf_counter()
        self.model.compile("adam", workload.loss)
        self.model.train_on_batch(x, y)
        self.first_step_s = time.perf_counter() - begin

    def weights(self):
        """Elements of all trainable matrices and windows. Libraries differ in how many biases a recurrent layer has."""
        named = [(getattr(v, "path", v.name), tuple(v.shape)) for v in self.model.trainable_weights]
        return sum(math.prod(shape) for name, shape in named if len(shape) > 1 and "bias" not in name)

    def data(self, x, y=None):
        return (x,) if y is None else (x, y)

    def train(self, x, y):
        self.model.fit(x, y, batch_size=self.workload.batch, epochs=1, verbose=0)

    def predict(self, x):
        self.model.predict(x, batch_size=PREDICT_BATCH, verbose=0)

    def latency(self, x):
        """One sample, by the shortest way that the library offers."""
        if self.own or "jax" in self.version:
            self.model.predict_on_batch(x)
        else:
            import torch

            with torch.inference_mode():
                self.model(x)


class Torch:
    """PyTorch with a hand-written loop: eager, with the fused Adam, with channels last, or compiled."""

    def __init__(self, peer, workload, policy, threads):
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch, self.workload, self.version = torch, workload, f"PyTorch {torch.__version__}"
        self.model = workload.torch(torch)
        self.rounded = lambda: torch.autocast("cpu", torch.bfloat16, enabled=policy == "mixed_bfloat16")
        self.last = peer == "torch-channels-last"
        if self.last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.loss = {
            "binary_crossentropy": torch.nn.functional.binary_cross_entropy_with_logits,
            "sparse_categorical_crossentropy": torch.nn.functional.cross_entropy,
            "mse": torch.nn.functional.mse_loss,
        }[workload.loss]
        x, y = self.data(*workload.data(np.random.default_rng(0), workload.batch))
        begin = time.perf_counter()
        how = {"foreach": True} if peer == "torch" else {"fused": True}
        # Keras' epsilon; the step is the same work.
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, eps=1e-7, **how)
        if peer == "torch-compile":
            self.model = torch.compile(self.model)
        self.train(x, y)
        self.first_step_s = time.perf_counter() - begin

    def weights(self):
        return sum(p.numel() for name, p in self.model.named_parameters() if p.ndim > 1 and "bias" not in name)

    def data(self, *arrays):
        """Tensors as a training loop keeps them: labels int64, images channels first in memory, or last."""
        return tuple(self.tensor(a) for a in arrays)

    def tensor(self, a):
        t = self.torch.from_numpy(a)
        if t.dtype == self.torch.int32:
            t = t.long()
        if t.ndim == 4 and not self.last:
            t = t.permute(0, 3, 1, 2).contiguous()
        return t

    def channels_first(self, t):
        """A view: of an image that lies channels last, the one that PyTorch calls so."""
        return t.permute(0, 3, 1, 2) if self.last and t.ndim == 4 else t

    def train(self, x, y):
        torch, batch = self.torch, self.workload.batch
        self.model.train()
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch):
            rows = order[i : i + batch]
            inputs, targets = (self.channels_first(t.index_select(0, rows)) for t in (x, y))
            self.optimizer.zero_grad(set_to_none=True)
            with self.rounded():
                loss = self.loss(self.model(inputs), targets)
            loss.backward()
            self.optimizer.step()

    def predict(self, x):
        self.model.eval()
        with self.torch.inference_mode(), self.rounded():
            batches = x.split(PREDICT_BATCH)
            self.torch.cat([self.model(self.channels_first(batch)) for batch in batches]).float().numpy()

    def latency(self, x):
        self.model.eval()
        with self.torch.inference_mode(), self.rounded():
            self.model(self.channels_first(x)).float().numpy()


def timed(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


class Worker:
    """The commands of bench/peers.py."""

    def __init__(self, peer, name, policy, threads):
        self.workload = WORKLOADS[name]
        self.side = (Torch if peer.startswith("torch") else KerasLike)(peer, self.workload, policy, threads)
        self.rng = np.random.default_rng(1)
        self.prepared = {}

    def facts(self):
        side = self.side
        return {"version": side.version, "first_step_ms": side.first_step_s * 1e3, "weights": side.weights()}

    def draw(self, do, rows):
        x, y = self.workload.data(self.rng, rows)
        return self.side.data(x, y) if do == "train" else self.side.data(x)

    @staticmethod
    def bytes_of(arguments):
        return sum(a.nbytes for a in arguments)

    def prepare(self, do, seconds):
        """Warms up, then makes as many rows as fill the time."""
        run = getattr(self.side, do)
        unit = {"train": self.workload.batch, "predict": PREDICT_BATCH, "latency": 1}[do]
        arguments = self.draw(do, 1 if do == "latency" else 4 * unit)
        run(*arguments)
        run(*arguments)
        if do != "latency":
            once = min(timed(run, *arguments) for _ in range(3))
            rows = min(MOST_ROWS, MOST_BYTES // (self.bytes_of(arguments) / (4 * unit)))
            arguments = self.draw(do, unit * max(4, min(int(4 * seconds / once), int(rows // unit))))
            run(*arguments)
        self.prepared[do] = arguments

    def measure(self, what, seconds):
        """Samples a second."""
        if what not in self.prepared:
            self.prepare(what, seconds)
        run, arguments = getattr(self.side, what), self.prepared[what]
        total = count = 0
        while total < seconds:
            total += timed(run, *arguments)
            count += 1
        return {"per_s": len(arguments[0]) * count / total}

    def memory(self):
        """The most memory that a process took that trains two epochs on a few batches and predicts them."""
        arguments = self.draw("train", MEMORY_BATCHES * self.workload.batch)
        self.side.train(*arguments)
        self.side.train(*arguments)
        self.side.predict(arguments[0])
        status = Path("/proc/self/status").read_text()
        return {"peak_mb": int(status.split("VmHWM:")[1].split()[0]) / 1024}


def main():
    worker = Worker(*sys.argv[1:4], int(sys.argv[4]))
    serve(worker.facts(), {"measure": worker.measure, "memory": worker.memory})


if __name__ == "__main__":
    main()
