"""Goldens of the train crate: masked Dice + BCE and AdamW, as PyTorch computes them.

Run with torch and numpy: python train.py; writes train/loss.json and train/adamw.json beside this file. Those of SGD
come from sgd.py.
"""

import json
import pathlib

import torch

HERE = pathlib.Path(__file__).parent / "train"
FULL, IGNORED = 128, 255


def loss_case(shape, batch_dice, smooth, dice_weight, bce_weight, weight, unknown):
    n, d, h, w, p = shape
    logits = (torch.randn(shape) * 2).double().requires_grad_()
    answers = torch.randint(0, 3, shape) * 64
    answers[torch.rand(shape) < 0.3] = IGNORED
    if unknown is not None:
        answers[..., unknown] = IGNORED
    mask = (answers != IGNORED).double()
    y = answers.double() / FULL * mask
    prob = torch.sigmoid(logits)
    dims = (0, 1, 2, 3) if batch_dice else (1, 2, 3)
    known = mask.sum(dims)
    dice = 1 - (2 * (mask * prob * y).sum(dims) + smooth) / ((mask * prob).sum(dims) + y.sum(dims) + smooth)
    elementwise = torch.nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
    bce = (elementwise * mask).sum(dims) / known.clamp(min=1)
    used = known > 0
    loss = weight * (dice_weight * dice + bce_weight * bce)[used].mean()
    loss.backward()
    return {
        "shape": shape,
        "batchDice": batch_dice,
        "smooth": smooth,
        "dice": dice_weight,
        "bce": bce_weight,
        "weight": weight,
        "logits": logits.detach().float().flatten().tolist(),
        "answers": answers.flatten().tolist(),
        "loss": loss.item(),
        "gradient": logits.grad.flatten().tolist(),
    }


def adamw_case(clip, weight_decay, decay):
    weights = torch.randn(7).requires_grad_()
    start = weights.detach().tolist()
    optimizer = torch.optim.AdamW([weights], lr=1.0, betas=(0.9, 0.99), eps=1e-8, weight_decay=weight_decay)
    gradients, rates, norms, after, means = [], [], [], [], []
    mean = weights.detach().clone()
    for t in range(1, 6):
        gradient = torch.randn(7) * 3
        rate = 0.01 * t
        for group in optimizer.param_groups:
            group["lr"] = rate
        weights.grad = gradient.clone()
        norms.append(gradient.double().norm().item())
        if clip > 0:
            torch.nn.utils.clip_grad_norm_([weights], clip)
        optimizer.step()
        d = min(decay, (1 + t) / (10 + t))
        mean += (1 - d) * (weights.detach() - mean)
        gradients.append(gradient.tolist())
        rates.append(rate)
        after.append(weights.detach().tolist())
        means.append(mean.tolist())
    return {
        "clip": clip, "weightDecay": weight_decay, "meanDecay": decay, "start": start, "gradients": gradients,
        "rates": rates, "norms": norms, "weights": after, "means": means,
    }


torch.manual_seed(3)
losses = [
    loss_case([2, 3, 4, 5, 3], True, 1.0, 1.0, 1.0, 1.0, None),
    loss_case([2, 3, 4, 5, 3], False, 1e-5, 0.7, 1.3, 0.4, None),
    loss_case([1, 2, 3, 4, 2], True, 1.0, 1.0, 1.0, 1.0, 1),
]
HERE.mkdir(exist_ok=True)
(HERE / "loss.json").write_text(json.dumps(losses))
(HERE / "adamw.json").write_text(json.dumps([adamw_case(1.0, 1e-2, 0.995), adamw_case(0.0, 0.0, 0.3)]))
