"""Checkpoints of the published family as PyTorch writes them, what its network answers, and files that must be refused.

Run from this folder: `python checkpoints.py` (torch, numpy, safetensors). Writes checkpoints/: `la_caf.pth` (zip, below `net`, wrapped
in `module.`, with what trainers and the published code keep beside), `la_caf_legacy.pt` (the older stream; views of one storage,
transposed storage, f64 and f16), `la_caf.safetensors` (f16), `gap.pth` (below `state_dict`), `answers.safetensors` (logits of every
STEP-th voxel) and hostile/. Weights are random, widths are the published ÷ 32, numbers are exact in f16.

`python checkpoints.py --full FOLDER` writes both variants at full width and 96^3 (170 MB and 30 s of PyTorch each), for
`PULMOAV_PARITY=FOLDER cargo test -p pulmoav-model --test import -- --ignored --nocapture`.
"""

import argparse
import math
import os
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn
from safetensors.torch import save_file

from model import LaCaf

STEP = 17
PROMPTS = 4


def scan(edge):
    """Numbers in [0, 1) that any language can make: [z, y, x]."""
    i = np.arange(edge**3, dtype=np.uint64)
    return torch.from_numpy(((i * 2654435761) % 2**32).astype(np.float32) / np.float32(2**32)).reshape(edge, edge, edge)


def network(divisor, grid, text_width, gap, seed):
    """Sensible scales: activations of order 1, an image vector that lives, exact in f16."""
    torch.manual_seed(seed)
    net = LaCaf(divisor, grid, text_width, PROMPTS, gap)
    with torch.no_grad():
        for key, p in net.named_parameters():
            if key.endswith("D_fc2.bias") and "Feature" in key:
                p.fill_(0.5)
            elif p.dim() == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (1.0 if "bn1.weight" in key else 0.0))
            elif p.dim() == 2 or "controller" in key:
                p.copy_(torch.randn_like(p) / math.sqrt(p[0].numel()))
            else:
                p.copy_(torch.randn_like(p) * math.sqrt(2 / p[0].numel()))
        for m in net.modules():
            if isinstance(m, nn.GroupNorm):
                m.weight.add_(1.0)
        for p in net.parameters():
            p.copy_(p.half().float())
    # Prompts' embeddings are alike: cosines about 0.87, norms about 8.5, as CLIP's are.
    e = torch.randn(text_width) + 0.39 * torch.randn(PROMPTS, text_width)
    return net, (8.5 * e / e.norm(dim=1, keepdim=True)).half().float()


def answer(net, e, edge, dtype):
    """Logits [z * y * x, p]; the network computes on [x, y, z] arrays, as published."""
    x = scan(edge).permute(2, 1, 0)[None, None].to(dtype)
    with torch.no_grad():
        logits = net.to(dtype)(x, e.to(dtype))[0][0]
    return logits.permute(3, 2, 1, 0).reshape(-1, PROMPTS).float()


def state(net, e):
    """A state_dict with batch norm's running statistics, which the re-implementation does not keep."""
    tensors = OrderedDict()
    for key, value in net.state_dict().items():
        tensors[key] = value.detach().float().contiguous()
        if key.endswith("bn1.bias"):
            stem = key[: -len("bias")]
            tensors[stem + "running_mean"] = torch.full_like(tensors[key], 7.0)
            tensors[stem + "running_var"] = torch.full_like(tensors[key], 9.0)
            tensors[stem + "num_batches_tracked"] = torch.tensor(123)
    tensors["organ_embedding"] = e
    return tensors


def extras():
    """What the published network registers and never calls."""
    linear = lambda name: {f"{name}.weight": torch.ones(2, 2), f"{name}.bias": torch.ones(2)}
    return {
        **linear("GAP.0"), **linear("GAP.3"), **linear("text_to_vision"), **linear("imgAdapter.D_fc1"),
        **linear("controller_256"), **linear("controller_1024"), **linear("attn.in_proj"), **linear("norm"),
    }


def odd_storages(tensors):
    """The same tensors as views of one storage, with transposed storage, in f64 and in f16."""
    names = [key for key, value in tensors.items() if value.is_floating_point()]
    shared = torch.cat([tensors[key].flatten() for key in names[:9]])
    odd, at = OrderedDict(tensors), 0
    for key in names[:9]:
        count = tensors[key].numel()
        odd[key] = shared[at : at + count].view(tensors[key].shape)
        at += count
    for i, key in enumerate(names[9:]):
        value = tensors[key]
        if i % 4 == 0:
            odd[key] = value.double()
        elif i % 4 == 1:
            odd[key] = value.half()
        elif i % 4 == 2 and value.dim() > 1:
            order = list(reversed(range(value.dim())))
            odd[key] = value.permute(order).contiguous().permute(order)
    return odd


def archive(path, entries, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries.items():
            file.writestr(zipfile.ZipInfo(name), data, method)


class Runs:
    """Unpickling it would run a command."""

    def __reduce__(self):
        return os.system, ("echo pwned > pwned",)


def hostile(folder, names):
    os.makedirs(folder, exist_ok=True)
    runs = pickle.dumps({"net": Runs()}, protocol=2)
    archive(f"{folder}/system.pth", {"archive/data.pkl": runs, "archive/version": b"3\n"})
    torch.save({"net": Runs()}, f"{folder}/system.pt", _use_new_zipfile_serialization=False)
    open(f"{folder}/system.pkl", "wb").write(runs)
    open(f"{folder}/inst.pkl", "wb").write(b"\x80\x02(ios\nsystem\n.")
    archive(f"{folder}/inst.pth", {"archive/data.pkl": b"(X\x02\x00\x00\x00idios\nsystem\n."})
    archive(f"{folder}/opcode.pth", {"archive/data.pkl": b"\x80\x02\xee."})
    archive(f"{folder}/bomb.pth", {"archive/data.pkl": b"\x80\x02" + b"N0" * 4_000_000 + b"N."}, zipfile.ZIP_DEFLATED)
    archive(f"{folder}/length.pth", {"archive/data.pkl": b"\x80\x02X\xff\xff\xff\xffa."})
    archive(f"{folder}/other.zip", {"word/document.xml": b"<xml/>"})
    net = nn.Sequential(nn.Linear(2, 2))
    torch.save(net, f"{folder}/module.pth")
    torch.save(net.state_dict(), f"{folder}/family.pth")
    one = torch.zeros(1)
    huge = OrderedDict((name, one.expand(1 << 40)) for name in names)
    huge["organ_embedding"] = one.expand(PROMPTS, 12)
    torch.save(huge, f"{folder}/huge.pth")
    torch.save(huge, f"{folder}/huge.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": {}, "epoch": 3}, f"{folder}/empty.pth")
    header = b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
    open(f"{folder}/huge.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + bytes(4))
    open(f"{folder}/header.safetensors", "wb").write(struct.pack("<Q", 1 << 60) + b"{}")


def small():
    os.makedirs("checkpoints", exist_ok=True)
    answers = {}
    net, e = network(32, 4, 12, gap=False, seed=1)
    tensors = state(net, e)
    wrapped = OrderedDict((f"module.{key}", value) for key, value in {**tensors, **extras()}.items())
    wrapped["module.backbone.down_tr64.ops.0.conv1.weight"] = nn.Parameter(tensors["backbone.down_tr64.ops.0.conv1.weight"])
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(2))])
    kept = {
        "epoch": 3, "best": np.float64(0.7), "args": argparse.Namespace(lr=1e-3, out="run"), "seen": {1, 2}, "net": wrapped,
        "optimizer": optimizer.state_dict(), "device": torch.device("cpu"), "shape": torch.Size([96, 96, 96]),
    }
    torch.save(kept, "checkpoints/la_caf.pth")
    torch.save(odd_storages(tensors), "checkpoints/la_caf_legacy.pt", _use_new_zipfile_serialization=False)
    save_file({k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}, "checkpoints/la_caf.safetensors")
    hostile("checkpoints/hostile", [key for key in tensors if "running" not in key and "tracked" not in key])
    answers["la_caf"] = answer(net, e, 32, torch.double)[::STEP].contiguous()
    net, e = network(32, 4, 12, gap=True, seed=2)
    torch.save({"state_dict": state(net, e)}, "checkpoints/gap.pth")
    answers["gap"] = answer(net, e, 32, torch.double)[::STEP].contiguous()
    save_file(answers, "checkpoints/answers.safetensors")
    for name, logits in answers.items():
        print(name, "logits: mean", logits.mean().item(), "deviation", logits.std().item(), logits.std(0).tolist())


def full(folder):
    os.makedirs(folder, exist_ok=True)
    answers = {}
    for name, gap in [("la_caf", False), ("gap", True)]:
        net, e = network(1, 12, 512, gap, seed=3)
        torch.save({"net": OrderedDict((f"module.{k}", v) for k, v in state(net, e).items())}, f"{folder}/{name}.pth")
        answers[name] = answer(net, e, 96, torch.float).contiguous()
        print(name, "logits: mean", answers[name].mean().item(), "deviation", answers[name].std().item(), flush=True)
        save_file(answers, f"{folder}/answers.safetensors")


if __name__ == "__main__":
    if "--full" in sys.argv:
        full(sys.argv[-1])
    else:
        small()
