"""Golden of the soft clDice loss: value and gradient, as PyTorch computes them in double precision.

Run with torch: python soft_cl_dice.py; writes train/soft_cl_dice.json beside this file.
"""

import json
import pathlib

import torch
from torch.nn.functional import max_pool3d, relu

HERE = pathlib.Path(__file__).parent / "train"
FULL, IGNORED, ROUNDS = 128, 255, 5


def eroded(x):
    kernels = [(3, 1, 1), (1, 3, 1), (1, 1, 3)]
    least = [-max_pool3d(-x, kernel, 1, [k // 2 for k in kernel]) for kernel in kernels]
    return torch.minimum(torch.minimum(least[0], least[1]), least[2])


def soft_skeleton(x):
    def delta(x):
        return relu(x - max_pool3d(eroded(x), 3, 1, 1))

    skeleton = delta(x)
    for _ in range(ROUNDS):
        x = eroded(x)
        skeleton = skeleton + relu(delta(x) * (1 - skeleton))
    return skeleton


def case(shape, weight):
    n, d, h, w, p = shape
    logits = (torch.randn(shape) * 2).double().requires_grad_()
    targets = torch.randint(0, 3, shape) * 64
    targets[torch.rand(shape) < 0.2] = IGNORED
    line = (targets == FULL) & (torch.rand(shape) < 0.4)
    known = targets != IGNORED
    share = torch.where(known, targets.double() / FULL, 0)
    probability = torch.sigmoid(logits)
    shaping = torch.where(known, probability, probability.detach())
    skeleton = soft_skeleton(shaping.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1) * known
    dims = (0, 1, 2, 3)
    precision = ((skeleton * share).sum(dims) + 1) / (skeleton.sum(dims) + 1)
    recall = ((probability * line).sum(dims) + 1) / (line.sum(dims) + 1)
    loss = weight * (1 - 2 * precision * recall / (precision + recall)).mean()
    loss.backward()
    return {
        "shape": shape,
        "weight": weight,
        "logits": logits.detach().float().flatten().tolist(),
        "targets": targets.flatten().tolist(),
        "centreline": line.flatten().tolist(),
        "loss": loss.item(),
        "gradient": logits.grad.flatten().tolist(),
    }


torch.manual_seed(5)
text = json.dumps([case([2, 5, 6, 7, 2], 0.7), case([1, 9, 4, 5, 3], 1.0)])
(HERE / "soft_cl_dice.json").write_text(text)
