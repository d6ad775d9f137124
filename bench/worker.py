"""One peer with one workload in a process of its own, driven line by line by bench/peers.py.

Reads a JSON line a command ({"do": "train", "seconds": 1.0}) and answers with one; between commands it
waits for input, and its threads sleep.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import numpy as np
from workloads import WORKLOADS


class KerasLike:
    """fastnn, or Keras on one of its backends: the same code."""

    def __init__(self, peer, workload, threads):
        if peer == "fastnn":
            import fastnn as keras

            keras._core.set_max_threads(threads)
            self.version = f"fastnn {keras.__version__} ({keras._core.current_isa()})"
        else:
            os.environ["KERAS_BACKEND"] = backend = peer.removeprefix("keras-")
            import keras

            self.version = f"Keras {keras.__version__} on {backend} {__import__(backend).__version__}"
            if backend == "torch":
                __import__("torch").set_num_threads(threads)
        self.workload, self.own = workload, peer == "fastnn"
        keras.utils.set_random_seed(0)
        self.model = keras.Sequential(workload.keras(keras))
        x, y = workload.data(np.random.default_rng(0), workload.batch)
        begin = time.perf_counter()
        self.model.compile("adam", workload.loss)
        self.model.train_on_batch(x, y)
        self.first_step_s = time.perf_counter() - begin

    def train(self, x, y):
        self.model.fit(x, y, batch_size=self.workload.batch, epochs=1, verbose=0)

    def predict(self, x):
        self.model.predict(x, batch_size=256, verbose=0)

    def latency(self, x):
        """One sample, by the shortest way that the library offers."""
        if self.own or "jax" in self.version:
            self.model.predict_on_batch(x)
        else:
            import torch

            with torch.no_grad():
                self.model(x)


class Torch:
    """PyTorch with a hand-written loop: eager, with the fused Adam, or compiled."""

    def __init__(self, peer, workload, threads):
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch, self.workload, self.version = torch, workload, f"PyTorch {torch.__version__}"
        self.model = workload.torch(torch)
        if peer == "torch-channels-last":
            self.model = self.model.to(memory_format=torch.channels_last)
        self.last = peer == "torch-channels-last"
        losses = {
            "binary_crossentropy": torch.nn.functional.binary_cross_entropy_with_logits,
            "sparse_categorical_crossentropy": torch.nn.functional.cross_entropy,
        }
        self.loss = losses[workload.loss]
        x, y = workload.data(np.random.default_rng(0), workload.batch)
        begin = time.perf_counter()
        fused = {"fused": True} if peer in ("torch-fused", "torch-compile") else {"foreach": True}
        # Keras' epsilon; the step is the same work.
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, eps=1e-7, **fused)
        if peer == "torch-compile":
            self.model = torch.compile(self.model)
        self.train(x, y)
        self.first_step_s = time.perf_counter() - begin

    def tensor(self, a):
        t = self.torch.from_numpy(a)
        if t.dtype == self.torch.int32:
            t = t.long()
        if t.ndim == 4:
            t = t.permute(0, 3, 1, 2)
            t = t.contiguous(memory_format=self.torch.channels_last) if self.last else t.contiguous()
        return t

    def train(self, x, y):
        torch, batch = self.torch, self.workload.batch
        x, y = self.tensor(x), self.tensor(y)
        self.model.train()
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch):
            rows = order[i : i + batch]
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(self.model(x[rows]), y[rows]).backward()
            self.optimizer.step()

    def predict(self, x):
        x = self.tensor(x)
        self.model.eval()
        with self.torch.inference_mode():
            for i in range(0, len(x), 256):
                self.model(x[i : i + 256]).numpy()

    def latency(self, x):
        self.model.eval()
        with self.torch.inference_mode():
            self.model(self.tensor(x)).numpy()


def timed(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def main():
    peer, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    workload = WORKLOADS[name]
    side = (Torch if peer.startswith("torch") else KerasLike)(peer, workload, threads)
    rng = np.random.default_rng(1)
    answer = {"version": side.version, "first_step_ms": side.first_step_s * 1e3}
    rows = {"train": workload.batch * 4, "predict": 512, "latency": 1}
    data = {}
    while True:
        print(json.dumps(answer), flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        command = json.loads(line)
        do, seconds = command["do"], command["seconds"]
        run = getattr(side, do)
        if do not in data:  # warm up, then as many rows as fill the time
            x, y = workload.data(rng, rows[do])
            arguments = (x, y) if do == "train" else (x,)
            run(*arguments)
            run(*arguments)
            once = min(timed(run, *arguments) for _ in range(3))
            if do != "latency":
                unit = workload.batch if do == "train" else 256
                wanted = int(seconds / once * len(x) / unit)
                x, y = workload.data(rng, unit * min(max(4, wanted), 1_000_000 // unit))
                arguments = (x, y) if do == "train" else (x,)
                run(*arguments)
            data[do] = arguments
        arguments = data[do]
        total = count = 0
        while total < seconds:
            total += timed(run, *arguments)
            count += 1
        answer = {
            "per_s": len(arguments[0]) * count / total,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


if __name__ == "__main__":
    main()
