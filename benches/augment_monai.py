"""Seconds of augmenting one 96^3 patch with its labels and side channel by MONAI, every transform applied every time.

The same kinds in the same order as ours: mirror, quarter turn, gamma, contrast, shift, Gaussian blur, Gaussian noise,
thick slices along one axis. Prints one line of JSON: the median of --repeats patches, and MONAI's version.
"""
import argparse
import json
import statistics
import time

import monai
import numpy as np
import torch
from monai import transforms as mt

EDGE = 96
THICKNESS = (1.2, 3.2)  # voxels: ours draws 1.5 to 4 mm at 1.25 mm


class ThickSlices(mt.RandomizableTransform, mt.MapTransform):
    """Averages along the body's axis and interpolates back, as ours does; MONAI's own lowers all three axes."""

    def __init__(self, keys):
        mt.MapTransform.__init__(self, keys)
        mt.RandomizableTransform.__init__(self, 1.0)

    def __call__(self, data):
        data = dict(data)
        slices = max(1, round(EDGE / self.R.uniform(*THICKNESS)))
        for key in self.keys:
            volume = data[key][None]
            thick = torch.nn.functional.interpolate(volume, size=(slices, EDGE, EDGE), mode="area")
            data[key] = torch.nn.functional.interpolate(thick, size=(EDGE, EDGE, EDGE), mode="trilinear")[0]
        return data


def chain():
    every, ct = ["ct", "side", "codes"], ["ct"]
    return mt.Compose([
        mt.RandFlipd(every, prob=1, spatial_axis=2),
        mt.RandRotate90d(every, prob=1, spatial_axes=(1, 2)),
        mt.RandAdjustContrastd(ct, prob=1, gamma=(0.8, 1.25)),
        mt.RandScaleIntensityd(ct, factors=0.15, prob=1),
        mt.RandShiftIntensityd(ct, offsets=0.03, prob=1),
        mt.RandGaussianSmoothd(ct, prob=1, sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8)),
        mt.RandGaussianNoised(ct, prob=1, std=0.03),
        ThickSlices(ct),
    ])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    rng = np.random.default_rng(7)
    shape = (1, EDGE, EDGE, EDGE)
    fresh = {
        "ct": rng.random(shape, dtype=np.float32),
        "side": np.broadcast_to(np.linspace(-1, 1, EDGE, dtype=np.float32), shape).copy(),
        "codes": rng.integers(0, 3, shape).astype(np.uint8),
    }
    augment = chain()
    augment.set_random_state(1)
    seconds = []
    for _ in range(repeats + 1):
        patch = {name: torch.from_numpy(values.copy()) for name, values in fresh.items()}
        start = time.perf_counter()
        augment(patch)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "monai": monai.__version__, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
