"""The layers of layers.tsv in PyTorch (f32): forward, input gradient, weight gradient, each in the layout that is quicker for it.

Run: python crates/ops/benches/conv3d_torch.py [--set tiny|unet] [--threads 2] [--patch 64] [--batch 2] [--cpu-time]: JSON lines.
"""

import argparse
import csv
import json
import os
import pathlib
import time

import torch
import torch.nn.functional as F

LAYOUTS = torch.channels_last_3d, torch.contiguous_format


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--set", default="tiny")
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--patch", type=int, default=64)
    options.add_argument("--batch", type=int, default=2)
    options.add_argument("--cpu-time", action="store_true", help="time on a core instead of wall time (a busy machine, one thread)")
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter
    print(json.dumps({"torch": torch.__version__}))
    with open(pathlib.Path(__file__).with_name("layers.tsv"), encoding="utf-8") as file:
        layers = [row for row in csv.reader(file, delimiter="\t") if row[0] == options.set]
    for _, name, *numbers in layers:
        ci, co, kernel, stride, transposed, division = map(int, numbers)
        size = max(1, options.patch // division)
        times = [passes(options.batch, size, ci, co, kernel, stride, bool(transposed), layout, clock) for layout in LAYOUTS]
        print(json.dumps({"layer": name, "seconds": [min(pair) for pair in zip(*times)]}), flush=True)


def passes(batch, size, ci, co, kernel, stride, transposed, layout, clock):
    x = torch.randn(batch, ci, size, size, size).contiguous(memory_format=layout)
    weight = torch.randn(*((ci, co) if transposed else (co, ci)), kernel, kernel, kernel).contiguous(memory_format=layout)
    strides, padding = [stride] * 3, [0 if transposed else (kernel - 1) // 2] * 3

    def forward():
        return F.conv_transpose3d(x, weight, None, strides) if transposed else F.conv3d(x, weight, None, strides, padding)

    grad = torch.randn_like(forward())

    def backward(*mask):
        args = grad, x, weight, None, strides, padding, [1] * 3, transposed, [0] * 3, 1, [*mask, False]
        return torch.ops.aten.convolution_backward(*args)

    return [median(run, clock) for run in (forward, lambda: backward(True, False), lambda: backward(False, True))]


def median(run, clock):
    with torch.inference_mode():
        run()
        times = []
        while len(times) < 5 or (sum(times) < 0.3 and len(times) < 500):
            start = clock()
            run()
            times.append(clock() - start)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    main()
