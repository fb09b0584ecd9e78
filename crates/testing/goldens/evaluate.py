"""Overlap scores of random label maps, written down in numpy.

Run: python crates/testing/goldens/evaluate.py   (numpy)
Writes crates/testing/goldens/evaluate/cases.json.
"""

import json
from pathlib import Path

import numpy as np

OUT = Path(__file__).with_suffix("")
ROWS = {"artery": ([1, 3, 4], [2, 5, 6]), "vein": ([2, 5, 6], [1, 3, 4]), "vessels": (list(range(1, 10)), None),
        "left artery": ([3], [2, 5, 6]), "right vein": ([6], [1, 3, 4]), "left vessels": ([3, 5, 8], None)}


def ratio(above, below):
    return None if below == 0 else float(above / below)


def swaps(pred, ref, own, other):
    in_ref = np.isin(ref, own)
    return int((in_ref & np.isin(pred, other)).sum()), int((in_ref & (np.isin(pred, own) | np.isin(pred, other))).sum())


def row(pred, ref, name):
    own, other = ROWS[name]
    p, r = np.isin(pred, own), np.isin(ref, own)
    if other is None:
        parts = [(3, [2, 5, 6]), (5, [1, 3, 4])] if name == "left vessels" else [([1, 3, 4], [2, 5, 6]), ([2, 5, 6], [1, 3, 4])]
        pairs = [swaps(pred, ref, np.atleast_1d(o), w) for o, w in parts]
    else:
        pairs = [swaps(pred, ref, own, other)]
    return {
        "dice": ratio(2 * (p & r).sum(), p.sum() + r.sum()),
        "predVoxels": int(p.sum()),
        "refVoxels": int(r.sum()),
        "iou": ratio((p & r).sum(), (p | r).sum()),
        "precision": ratio((p & r).sum(), p.sum()),
        "recall": ratio((p & r).sum(), r.sum()),
        "swapRate": ratio(sum(a for a, _ in pairs), sum(b for _, b in pairs)),
    }


generator = np.random.default_rng(3)
cases = []
for index, labels in enumerate([[0, 1, 2], [0, 1], [0], [0, 1, 2], [0, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]):
    shape = (4, 5, 6)
    ref = generator.choice(labels, shape).astype("uint8")
    pred = np.where(generator.random(shape) < 0.6, ref, generator.choice(labels, shape)).astype("uint8")
    if index == 1:
        pred[:] = 0
    within = (generator.random(shape) < 0.5).astype("uint8") if index in (3, 5) else None
    sides = generator.choice([1, 2], shape).astype("uint8") if index == 5 else None
    keep = np.ones(shape, bool)
    if within is not None:
        keep &= within > 0
    if sides is not None:
        keep &= sides == 2
    p, r = np.where(keep, pred, 0), np.where(keep, ref, 0)
    names = [name for name, (own, _) in ROWS.items() if name in ("artery", "vein", "vessels") or np.isin(r, own).any()]
    cases.append({"shape": shape, "pred": pred.ravel().tolist(), "ref": ref.ravel().tolist(),
                  "within": None if within is None else within.ravel().tolist(),
                  "sides": None if sides is None else sides.ravel().tolist(),
                  "scores": {name: row(p, r, name) for name in names}})
OUT.mkdir(exist_ok=True)
lines = ",\n".join(json.dumps(case) for case in cases)
(OUT / "cases.json").write_text(f"[\n{lines}\n]\n")
