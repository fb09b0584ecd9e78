"""Makes goldens/segment/classes.json: nnunetv2's window places, weights, sums and export, with a network that is a
formula.

Run from this folder with numpy, torch and nnunetv2 installed: python classes.py
"""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from nnunetv2.preprocessing.resampling.resample_torch import resample_torch_fornnunet
from nnunetv2.utilities.label_handling.label_handling import LabelManager

rng = np.random.default_rng(20261130)


def bits(values):
    return np.ascontiguousarray(values, dtype=np.float16).view(np.uint16).ravel().tolist()


def gaussians():
    for patch in [(8, 8, 8), (5, 12, 7), (24, 10, 2)]:
        weights = compute_gaussian(patch, sigma_scale=1.0 / 8, value_scaling_factor=10, device=torch.device("cpu"))
        yield {"patch": patch, "bits": bits(weights.numpy())}


def steps():
    for shape, patch, step in [
        ((9, 11, 8), (8, 8, 8), 0.5),
        ((81, 82, 101), (64, 64, 64), 0.5),
        ((37, 121, 135), (24, 80, 80), 0.5),
        ((512, 401, 333), (128, 96, 160), 0.8),
        ((300, 301, 299), (128, 127, 61), 0.3),
    ]:
        starts = compute_steps_for_sliding_window(shape, patch, step)
        yield {"shape": shape, "patch": patch, "step": step, "starts": starts}


class Formula(torch.nn.Module):
    """What FakeNetwork in crates/segment/src/classes/fixture.rs computes."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs
        self.offset = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x):
        depth, _, width = x.shape[2:]
        place = torch.arange(width)[None, None, :] / 16 + torch.arange(depth)[:, None, None]
        maps = [x[:, 0] * (o + 1) - x[:, -1] + (place + o + self.offset) for o in range(self.outputs)]
        return torch.stack(maps, 1)


def slides():
    for shape, mirror, step, offsets in [
        ((9, 11, 6), None, 0.5, [0]),
        ((9, 11, 6), (0, 1, 2), 0.5, [0]),
        ((13, 8, 10), (0, 2), 0.8, [0, 0.25, 0.5]),
    ]:
        image = np.round(rng.normal(0, 1, (2, *shape)), 3).astype(np.float32)
        predictor = nnUNetPredictor(
            tile_step_size=step, use_mirroring=True, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
        )
        predictor.network = Formula(3)
        predictor.configuration_manager = SimpleNamespace(patch_size=(8, 8, 8))
        predictor.label_manager = SimpleNamespace(num_segmentation_heads=3)
        predictor.allowed_mirroring_axes = mirror
        predictor.list_of_parameters = [{"offset": torch.tensor(float(offset))} for offset in offsets]
        with torch.no_grad():
            logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(image))
        yield {
            "shape": shape,
            "mirror": list(mirror or ()),
            "step": step,
            "offsets": offsets,
            "image": [round(float(value), 3) for value in np.moveaxis(image, 0, -1).ravel()],
            "bits": bits(np.moveaxis(logits.numpy(), 0, -1)),
        }


def exports():
    plain = {"background": 0, "a": 1, "b": 2}
    many = {"background": 0} | {f"c{i}": i for i in range(1, 20)}
    regions = {"background": 0, "whole": [1, 2], "part": 1}
    spline = partial(resample_data_or_seg_to_shape, is_seg=False, order=1, order_z=0, force_separate_z=None)
    trilinear = partial(resample_torch_fornnunet, is_seg=False, force_separate_z=False)
    # name, labels, order of regions, axes, network shape, crop's shape, plan's and crop's spacing along network axes
    for name, labels, order, axes, network, cropped, spacing, original in [
        ("spline", plain, None, (0, 1, 2), (6, 5, 7), (9, 8, 5), (1.5, 1.5, 1.5), (1.0, 1.0, 2.0)),
        ("spline", plain, None, (2, 0, 1), (6, 5, 7), (6, 5, 7), (1.5, 1.5, 1.5), (1.5, 1.5, 1.5)),
        ("spline", plain, None, (1, 0, 2), (6, 4, 7), (9, 8, 5), (1.5, 5.0, 1.5), (1.0, 2.5, 2.0)),
        ("spline", many, None, (0, 1, 2), (4, 5, 3), (6, 4, 5), (1.5, 1.0, 2.5), (1.0, 1.25, 1.5)),
        ("torch", regions, [2, 1], (1, 0, 2), (6, 5, 7), (9, 8, 5), (1.5, 1.5, 1.5), (1.0, 1.0, 2.0)),
        ("spline", regions, [2, 1], (0, 1, 2), (3, 5, 7), (9, 8, 5), (5.0, 1.5, 1.5), (1.7, 1.0, 2.0)),
    ]:
        manager = LabelManager(labels, order)
        outputs = manager.num_segmentation_heads
        logits = rng.normal(0, 2, (outputs, *network)).astype(np.float16)
        whole = [length + extra for length, extra in zip(cropped, (3, 1, 2))]
        box = [[low, low + length] for low, length in zip((1, 0, 2), cropped)]
        backward = [axes.index(axis) for axis in range(3)]
        properties = {
            "spacing": [original[backward[axis]] for axis in range(3)],
            "shape_before_cropping": whole,
            "bbox_used_for_cropping": box,
            "shape_after_cropping_and_before_resampling": cropped,
        }
        configuration = SimpleNamespace(spacing=list(spacing), resampling_fn_probabilities=spline if name == "spline" else trilinear)
        plans = SimpleNamespace(transpose_forward=list(axes), transpose_backward=backward)
        arguments = (torch.from_numpy(logits), plans, configuration, manager, properties)
        result = convert_predicted_logits_to_segmentation_with_correct_shape(*arguments)
        both = convert_predicted_logits_to_segmentation_with_correct_shape(*arguments, return_probabilities=True)
        assert (both[0] == result).all()
        yield {
            "resampling": name,
            "regions": order,
            "outputs": outputs,
            "axes": axes,
            "network": network,
            "spacing": spacing,
            "scanShape": result.shape,
            "scanSpacing": properties["spacing"],
            "low": [low for low, _ in box],
            "high": [high for _, high in box],
            "bits": bits(np.moveaxis(logits, 0, -1)),
            "labels": result.astype(int).ravel().tolist(),
            "probabilities": [round(float(value), 6) for value in both[1].ravel()],
        }


found = {make.__name__: list(make()) for make in (gaussians, steps, slides, exports)}
with open("segment/classes.json", "w") as file:
    json.dump(found, file, separators=(",", ":"))
