"""Makes goldens/resample/resize.json: scikit-image's resize, nnU-Net's separate z, PyTorch's interpolate, and scipy's
corner-aligned zoom.

Run from this folder with numpy, scipy, scikit-image, torch and nnunetv2 installed: python resize.py
"""

import json

import numpy as np
import torch
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg
from nnunetv2.preprocessing.resampling.resample_torch import resample_torch_fornnunet
from scipy import ndimage
from skimage.transform import resize

rng = np.random.default_rng(20261130)
cases = []


def voxels(shape):
    """Steps and noise, so that splines overshoot."""
    steps = np.indices(shape).sum(axis=0) // 3 % 3
    return np.round(steps + rng.normal(0, 0.3, shape), 3)


def add(method, source, result, order=None, apart=None):
    numbers = [round(float(value), 9) for value in np.asarray(result).ravel()]
    cases.append(
        {
            "method": method,
            "shape": source.shape,
            "newShape": result.shape,
            "order": order,
            "apart": apart,
            "voxels": source.ravel().tolist(),
            "result": numbers,
        }
    )


# Lines longer than a slab with its surroundings, edges shorter than the filter, an axis that stays, one voxel.
for shape, new in [
    ((5, 6, 7), (8, 4, 7)),
    ((9, 3, 1), (4, 8, 3)),
    ((70, 2, 3), (97, 3, 2)),
    ((150, 2, 2), (61, 1, 3)),
]:
    source = voxels(shape)
    for order in (0, 1, 2, 3):
        add("skimage", source, resize(source, new, order, mode="edge", anti_aliasing=False), order)
for order, apart in [(3, 0), (3, 1), (1, 0), (3, 3)]:
    source = voxels((6, 7, 5))
    new = (9, 5, 8)
    result = resample_data_or_seg(source[None], new, axis=0, order=order, do_separate_z=True, order_z=apart)[0]
    add("skimage", source, result, order, apart)
for shape, new, separate in [((5, 6, 7), (8, 4, 7), False), ((40, 3, 2), (13, 5, 3), False), ((6, 7, 5), (9, 5, 8), True)]:
    source = voxels(shape).astype(np.float32)
    spacing = (5.0, 1.0, 1.0)
    result = resample_torch_fornnunet(source[None], new, spacing, spacing, force_separate_z=separate)[0]
    add("torch", source, result, apart=0 if separate else None)
for shape, zoom in [((5, 6, 7), (1.7, 0.6, 1.0)), ((1, 9, 4), (3.0, 1.3, 2.6))]:
    # Integers, cut off after the sum as TotalSegmentator does; axes [x, y, z] as nibabel has them.
    source = np.round(rng.normal(-300, 500, shape))
    back = source.T.astype(np.float64)
    for order in (0, 1):
        result = ndimage.zoom(back, zoom[::-1], order=order, mode="nearest").astype(np.int32)
        add("corners", source, result.T, order)
with open("resample/resize.json", "w") as file:
    json.dump(cases, file, separators=(",", ":"))
