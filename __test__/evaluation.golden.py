"""Statistics by scipy and summaries by nnU-Net, for the tests of `pulmoav evaluate` and `compare`.

Run: python __test__/evaluation.golden.py && npx biome format --write __test__   (numpy, scipy, SimpleITK, nnunetv2)
Writes __test__/evaluation.golden.json.
"""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK
from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from scipy import stats

OUT = Path(__file__).with_suffix(".json")
RANDOM = np.random.default_rng(18)
EXACT_PAIRS = 25


def wilcoxon():
    """Differences with and without ties and zeros, few and many; the method is chosen as `src/statistics` says."""
    drawn = {
        "one": [0.25],
        "five, all higher": [0.01, 0.02, 0.03, 0.04, 0.05],
        "eight": RANDOM.normal(0.4, 1, 8),
        "25": RANDOM.normal(0.2, 1, 25),
        "25, nothing between them": RANDOM.normal(0, 1, 25),
        "26": RANDOM.normal(0.2, 1, 26),
        "120": RANDOM.normal(0.3, 1, 120),
        "far apart": RANDOM.normal(3, 1, 200),
        "ties": RANDOM.integers(1, 5, 20) * RANDOM.choice([-1, 1], 20, p=[0.3, 0.7]),
        "zeros": np.concatenate([RANDOM.normal(0.5, 1, 12), np.zeros(3)]),
        "ties and zeros": RANDOM.integers(-3, 5, 40),
        "two ties that differ in sign": [1.0, -1.0],
    }
    rows = []
    for name, differences in drawn.items():
        differences = np.asarray(differences, float)
        sizes = np.abs(differences)
        plain = len(sizes) <= EXACT_PAIRS and sizes.all() and len(set(sizes)) == len(sizes)
        found = stats.wilcoxon(differences, method="exact" if plain else "asymptotic")
        rows.append({
            "name": name, "differences": differences.tolist(), "statistic": float(found.statistic),
            "p": float(found.pvalue), "method": "exact" if plain else "normal",
        })
    return rows


def normal():
    places = [-8, -3, -1, -0.2, 0, 0.5, 1.96, 2.999, 3.001, 5, 12, 30]
    shares = [1e-12, 1e-4, 0.025, 0.3, 0.5, 0.7, 0.975, 0.9999]
    return {
        "tail": [[z, float(stats.norm.sf(z))] for z in places],
        "quantile": [[share, float(stats.norm.ppf(share))] for share in shares],
    }


def bootstrap():
    """BCa intervals of means; with so many draws their ends are right to about 0.3 % of their width."""
    values = {
        "skewed": 1 - RANDOM.gamma(2, 0.04, 30),
        "few": RANDOM.normal(0.8, 0.05, 6),
        "many": RANDOM.normal(0, 1, 300),
        "an outlier": np.append(RANDOM.normal(0.9, 0.01, 11), 0.2),
    }
    rows = []
    for name, drawn in values.items():
        found = stats.bootstrap((drawn,), np.mean, n_resamples=400_000, batch=20_000, method="BCa", rng=1,
                                confidence_level=0.95)
        rows.append({"name": name, "values": drawn.tolist(), "low": float(found.confidence_interval.low),
                     "high": float(found.confidence_interval.high)})
    return rows


def xoshiro():
    """https://prng.di.unimi.it/xoshiro128starstar.c in whole numbers, from the state 1, 2, 3, 4."""
    word = 2**32 - 1
    rotated = lambda value, bits: ((value << bits) | (value >> (32 - bits))) & word
    state, drawn = [1, 2, 3, 4], []
    for _ in range(10):
        drawn.append(rotated(state[1] * 5 & word, 7) * 9 & word)
        shifted = state[1] << 9 & word
        state[2] ^= state[0]
        state[3] ^= state[1]
        state[1] ^= state[2]
        state[0] ^= state[3]
        state[2] ^= shifted
        state[3] = rotated(state[3], 11)
    return drawn


def summary():
    """Four cases of 3 × 4 × 5 voxels: as usual, right, without veins, and empty against empty."""
    shape = (3, 4, 5)
    usual = RANDOM.integers(0, 3, shape)
    cases = {
        "a": (np.where(RANDOM.random(shape) < 0.3, RANDOM.integers(0, 3, shape), usual), usual),
        "b": (usual, usual),
        "c": (np.where(usual == 1, 1, 0), np.where(usual == 1, 0, usual % 2)),
        "d": (np.zeros(shape), np.zeros(shape)),
    }
    with tempfile.TemporaryDirectory() as root:
        folders = [Path(root) / "ref", Path(root) / "pred"]
        for folder in folders:
            folder.mkdir()
        for name, maps in cases.items():
            for folder, labels in zip(folders, maps[::-1]):
                SimpleITK.WriteImage(SimpleITK.GetImageFromArray(labels.astype(np.uint8)), str(folder / f"{name}.nii.gz"))
        found = compute_metrics_on_folder(*map(str, folders), None, SimpleITKIO(), ".nii.gz", [1, 2], num_processes=1)
    found = json.loads(json.dumps(found))
    for case in found["metric_per_case"]:
        for key in ("reference_file", "prediction_file"):
            case[key] = Path(case[key]).name
    digits = lambda labels: "".join(str(int(label)) for label in labels.ravel())
    maps = {name: {"pred": digits(pred), "ref": digits(ref)} for name, (pred, ref) in cases.items()}
    return {"shape": shape, "cases": maps, "summary": found}


def without_nan(value):
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    golden = {"wilcoxon": wilcoxon(), "normal": normal(), "bootstrap": bootstrap(), "xoshiro": xoshiro(),
              "nnunet": summary()}
    OUT.write_text(json.dumps(without_nan(golden)) + "\n")
