"""A hand-written PyTorch loop for LeNet-5, run by another interpreter: an epoch for each line that comes.

    PYTHON torch_lenet.py PICTURES BATCH LEARNING_RATE

It says "ready" when the network stands, and then answers each line with the seconds that an epoch took. Nothing of the
project is imported: the interpreter needs PyTorch and NumPy alone.
"""

import os
import sys
import time

import numpy as np


def main() -> None:
    # Imported here: the collection of tests imports this file, and the project has no PyTorch.
    import torch
    from torch import nn

    count, batch, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), np.uint8)
    x, y = torch.from_numpy(images), torch.from_numpy(np.arange(count, dtype=np.int64) % 10)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    optimizer, cost = torch.optim.Adam(model.parameters(), rate), nn.CrossEntropyLoss()
    print(f"ready {torch.__version__}", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        order = torch.randperm(count)
        for start in range(0, count, batch):
            chosen = order[start : start + batch]
            optimizer.zero_grad()
            cost(model(x[chosen].float() / 127.5 - 1), y[chosen]).backward()
            optimizer.step()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
