"""The peer of the stage whole-ct: a whole CT to labels as nnU-Net goes about it, with one of our models in PyTorch.

    whole_ct_torch.py MODEL_DIR CT.nii.gz LABELS.nii.gz [--threads 2]

nibabel reads; skimage carries the scan to the plan's grid, linearly as ours; windows of the plan's tile with its overlap, Gaussian weights,
torch.compile with frozen weights, channels last; skimage carries each class' probabilities back linearly; nibabel writes at level 1. The
network computes no map that is not asked for. Windows the size of a tile at half overlap everywhere: neither lungs nor empty windows
are looked for. The side channel runs from -1 to 1 across the scan, which costs the same as the true one. Prints one line of JSON:
seconds of each part (compiling apart), windows, GFLOP of one window.
"""

import argparse
import json
import pathlib
import sys
import time

import nibabel as nib
import numpy as np
import torch
from safetensors import safe_open
from skimage.transform import resize
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "crates/testing/goldens"))
from model import Pulmoav  # noqa: E402


class Asked(nn.Module):
    """The mask of some prompts only."""

    def __init__(self, mask, asked):
        super().__init__()
        self.mask, self.asked = mask, asked

    def forward(self, features, queries):
        return self.mask(features, queries[:, self.asked])


class Windowed(nn.Module):
    """Probabilities of the asked prompts in one window."""

    def __init__(self, net, prompts, asked):
        super().__init__()
        net.prompt_decoder.masks = nn.ModuleList([Asked(net.prompt_decoder.masks[0], asked)])
        self.net, self.prompts = net, prompts

    def forward(self, x):
        return self.net(x, self.prompts)[0].sigmoid()


def load(folder):
    with safe_open(pathlib.Path(folder) / "model.safetensors", "pt") as file:
        plan = json.loads(file.metadata()["plan"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    numbers = plan["network"]
    net = Pulmoav(
        len(plan["channels"]), numbers["stageChannels"], numbers["stageBlocks"], numbers["promptWidth"], numbers["heads"],
        numbers["promptLayers"], numbers["supervisedScales"], numbers["textWidth"],
    )
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            value = tensors[key]
            if value.dim() == 5:
                value = value.permute(3, 4, 0, 1, 2) if "transpconvs" in key else value.permute(4, 3, 0, 1, 2)
            elif value.dim() == 2:
                value = value.T
            parameter.copy_(value)
    asked = [place for place, target in enumerate(plan["targets"]) if target["name"] in plan["defaultTargets"]]
    prompts = torch.tensor([target["embedding"] for target in plan["targets"]])
    return plan, Windowed(net.eval(), prompts, asked), [plan["targets"][place]["value"] for place in asked]


def channels_of(plan, ct):
    """[z, y, x] HU to the plan's channels [c, z, y, x]."""
    channels = []
    for channel in plan["channels"]:
        if channel["kind"] == "window":
            low, high = channel["windowHu"]
            channels.append(np.clip((ct - low) / (high - low), 0, 1))
        else:
            channels.append(np.broadcast_to(np.linspace(-1, 1, ct.shape[2], dtype=np.float32), ct.shape))
    return torch.from_numpy(np.stack(channels).astype(np.float32))


def starts(size, tile, overlap):
    gaps = -(-max(0, size - tile) // max(1, int(tile * (1 - overlap))))
    return [round(i * (size - tile) / gaps) for i in range(gaps + 1)] if gaps else [0]


def gaussian(tile):
    lines = [torch.exp(-0.5 * ((torch.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) for n in tile]
    return (lines[0][:, None, None] * lines[1][:, None] * lines[2]).clamp_min(1e-3)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("model")
    options.add_argument("ct")
    options.add_argument("labels")
    options.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    torch._inductor.config.freezing = True
    plan, net, values = load(options.model)
    tile, seconds = plan["tiles"]["tile"], {}
    with torch.inference_mode():
        example = torch.randn(1, len(plan["channels"]), *tile)
        with FlopCounterMode(display=False) as counter:
            net(example)
        net = torch.compile(net.to(memory_format=torch.channels_last_3d))
        clock = time.perf_counter()
        for _ in range(2):
            net(example.contiguous(memory_format=torch.channels_last_3d))
        seconds["compile"] = time.perf_counter() - clock

        clock = time.perf_counter()

        def lap(name):
            nonlocal clock
            now = time.perf_counter()
            seconds[name], clock = now - clock, now

        image = nib.load(options.ct)
        ct = np.asarray(image.dataobj, np.float32).transpose(2, 1, 0)
        spacing = image.header.get_zooms()[2::-1]
        lap("read")
        shape = [max(t, round(n * mm / wanted)) for n, mm, wanted, t in zip(ct.shape, spacing, plan["spacingMm"], tile)]
        x = channels_of(plan, resize(ct, shape, order=1, mode="edge", anti_aliasing=False, preserve_range=True))
        lap("resample")
        weights = gaussian(tile)
        total, weight = torch.zeros(len(values), *shape), torch.zeros(*shape)
        windows = [(a, b, c) for a in starts(shape[0], tile[0], plan["tiles"]["overlap"])
                   for b in starts(shape[1], tile[1], plan["tiles"]["overlap"])
                   for c in starts(shape[2], tile[2], plan["tiles"]["overlap"])]
        for at in windows:
            place = tuple(slice(a, a + n) for a, n in zip(at, tile))
            part = x[(slice(None), *place)][None].contiguous(memory_format=torch.channels_last_3d)
            total[(slice(None), *place)] += net(part)[0] * weights
            weight[place] += weights
        total /= weight
        lap("network")
        back = [resize(p, ct.shape, order=1, mode="edge", anti_aliasing=False, preserve_range=True) for p in total.numpy()]
        labels = np.zeros(ct.shape, np.uint8)
        best = np.full(ct.shape, 0.5, np.float32)
        for value, p in zip(values, back):
            labels[p >= best] = value
            best = np.maximum(best, p)
        lap("restore")
        nib.openers.Opener.default_compresslevel = 1
        nib.save(nib.Nifti1Image(labels.transpose(2, 1, 0), image.affine), options.labels)
        lap("write")
    seconds["total"] = sum(value for name, value in seconds.items() if name != "compile")
    gflop = counter.get_total_flops() / 1e9
    print(json.dumps({"seconds": seconds, "windows": len(windows), "gflop": gflop, "torch": torch.__version__, "labels": int((labels > 0).sum())}))


if __name__ == "__main__":
    main()
