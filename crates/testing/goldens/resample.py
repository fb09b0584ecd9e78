"""Makes goldens/resample/zoom.json: scipy.ndimage.zoom(grid_mode=True, mode="nearest") on float64.

Run from this folder with numpy and scipy installed: python resample.py
"""

import json

import numpy as np
from scipy import ndimage

rng = np.random.default_rng(20261124)
cases = []
for shape, new in [
    ((5, 6, 7), (9, 4, 7)),
    ((8, 3, 4), (3, 8, 11)),
    ((1, 4, 6), (2, 9, 3)),
    ((10, 10, 2), (10, 7, 5)),
]:
    voxels = np.round(rng.normal(-300, 500, shape)).astype(np.float64)
    for order in (0, 1, 3):
        zoom = [m / n for m, n in zip(new, shape)]
        result = ndimage.zoom(voxels, zoom, order=order, grid_mode=True, mode="nearest")
        assert result.shape == new
        cases.append(
            {"shape": shape, "newShape": new, "order": order, "voxels": voxels.ravel().tolist(), "result": [round(v, 3) for v in result.ravel()]}
        )
with open("resample/zoom.json", "w") as file:
    json.dump(cases, file, separators=(",", ":"))
