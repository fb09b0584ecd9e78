"""Goldens of the train crate: SGD with Nesterov momentum, by the formula of torch.optim.SGD's documentation, in float64.

Run with numpy: python sgd.py; writes train/sgd.json beside this file.
"""

import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent / "train"


def case(random, momentum, clip, weight_decay):
    weights = random.standard_normal(7)
    start = weights.tolist()
    buffer = np.zeros(7)
    gradients, rates, norms, after = [], [], [], []
    for t in range(1, 6):
        gradient = random.standard_normal(7) * 3
        rate = 0.01 * t
        norm = float(np.linalg.norm(gradient))
        clipped = gradient * min(1.0, clip / (norm + 1e-6)) if clip > 0 else gradient
        decayed = clipped + weight_decay * weights
        buffer = momentum * buffer + decayed
        weights = weights - rate * (decayed + momentum * buffer)
        gradients.append(gradient.tolist())
        rates.append(rate)
        norms.append(norm)
        after.append(weights.tolist())
    return {
        "momentum": momentum, "clip": clip, "weightDecay": weight_decay, "start": start, "gradients": gradients,
        "rates": rates, "norms": norms, "weights": after,
    }


random = np.random.default_rng(3)
(HERE / "sgd.json").write_text(json.dumps([case(random, 0.99, 12.0, 3e-5), case(random, 0.9, 1.0, 1e-2)]))
