"""Surfaces and topology of random masks, by surface-distance, scipy and skimage.

Run: python crates/testing/goldens/surfaces.py   (numpy, scipy, scikit-image, surface-distance 0.1)
Writes crates/testing/goldens/evaluate/surfel_areas.json and random_masks.json.
"""

import json
from pathlib import Path

import numpy as np
import scipy.ndimage as ndi

# surface-distance 0.1 uses names that later versions of numpy and scipy lack.
np.Inf = np.inf
for name in ("filters", "morphology"):
    if not hasattr(ndi, name):
        setattr(ndi, name, ndi)

from skimage.measure import euler_number  # noqa: E402
from surface_distance import lookup_tables, metrics  # noqa: E402

OUT = Path(__file__).with_name("evaluate")


def border(mask):
    return mask & ~ndi.binary_erosion(mask, ndi.generate_binary_structure(3, 1))


def voxel_distances(a, b, spacing):
    return ndi.distance_transform_edt(~border(b), sampling=spacing)[border(a)]


def betti(mask):
    padded = np.pad(mask, 1)
    pieces = ndi.label(padded, np.ones((3, 3, 3)))[1]
    cavities = ndi.label(~padded)[1] - 1
    return [pieces, int(pieces + cavities - euler_number(padded, connectivity=3)), cavities]


def scores(pred, ref, spacing):
    found = metrics.compute_surface_distances(ref, pred, spacing)
    to_pred, to_ref = metrics.compute_average_surface_distance(found)
    areas = found["surfel_areas_gt"].sum(), found["surfel_areas_pred"].sum()
    there, back = voxel_distances(ref, pred, spacing), voxel_distances(pred, ref, spacing)
    errors = [abs(a - b) for a, b in zip(betti(pred), betti(ref))]
    return {
        "hd95": metrics.compute_robust_hausdorff(found, 95),
        "hd100": metrics.compute_robust_hausdorff(found, 100),
        "assd": (to_pred * areas[0] + to_ref * areas[1]) / sum(areas),
        "nsd05mm": metrics.compute_surface_dice_at_tolerance(found, 0.5),
        "nsd1mm": metrics.compute_surface_dice_at_tolerance(found, 1.0),
        "nsd2mm": metrics.compute_surface_dice_at_tolerance(found, 2.0),
        "hd95Voxels": max(np.percentile(there, 95), np.percentile(back, 95)),
        "hd100Voxels": max(there.max(), back.max()),
        "assdVoxels": np.concatenate((there, back)).mean(),
        **{f"betti{k}Error": errors[k] for k in range(3)},
    }


def areas():
    spacings = [[1.0, 1.0, 1.0], [2.0, 1.25, 0.7]]
    table = lookup_tables.create_table_neighbour_code_to_surface_area
    rows = [{"spacing_mm": s, "areas_mm2": table(s).tolist()} for s in spacings]
    (OUT / "surfel_areas.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def random_masks():
    generator = np.random.default_rng(18)
    rows = []
    for index, (shape, spacing) in enumerate(
        [((9, 11, 13), (1, 1, 1)), ((7, 10, 70), (2.0, 0.7, 0.8)), ((12, 9, 10), (0.5, 3.0, 1.0)), ((14, 15, 16), (1.5, 0.6, 0.6))]
    ):
        noise = [ndi.gaussian_filter(generator.standard_normal(shape), 1.0 if index else 0.5) for _ in range(2)]
        ref = noise[0] > np.quantile(noise[0], 0.7)
        mixed = noise[0] + 0.6 * noise[1]
        pred = mixed > np.quantile(mixed, 0.75)
        if index == 3:
            # A false piece far from everything.
            ref[:, :, 8:] = False
            pred[:, :, 8:] = False
            pred[12:, 13:, 14:] = True
        text = ["".join("01"[int(v)] for v in mask.ravel()) for mask in (pred, ref)]
        found = {k: float(v) for k, v in scores(pred, ref, spacing).items()}
        rows.append({"shape": shape, "spacing_mm": spacing, "pred": text[0], "ref": text[1], "scores": found})
    (OUT / "random_masks.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


areas()
random_masks()
