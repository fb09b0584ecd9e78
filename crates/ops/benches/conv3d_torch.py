"""The layers of conv3d.rs in PyTorch (f32, channels last), the same table: forward, input gradient, weight gradient.

Run: python crates/ops/benches/conv3d_torch.py [--threads 1] [--patch 64] [--cpu-time]
"""
import argparse
import time

import torch
import torch.nn.functional as F

LAYERS = [  # name, input channels, output channels, kernel, stride, transposed, patch / size
    ("stem 3-16", 3, 16, 3, 1, False, 1), ("16-16", 16, 16, 3, 1, False, 1), ("16-32 s2", 16, 32, 3, 2, False, 1),
    ("32-32", 32, 32, 3, 1, False, 2), ("32-64 s2", 32, 64, 3, 2, False, 2), ("64-64", 64, 64, 3, 1, False, 4),
    ("64-128 s2", 64, 128, 3, 2, False, 4), ("128-128", 128, 128, 3, 1, False, 8), ("up 128-64", 128, 64, 2, 2, True, 8),
    ("128-64", 128, 64, 3, 1, False, 4), ("up 64-32", 64, 32, 2, 2, True, 4), ("64-32", 64, 32, 3, 1, False, 2),
    ("up 32-16", 32, 16, 2, 2, True, 2), ("32-16", 32, 16, 3, 1, False, 1), ("1x1x1 16-32 s2", 16, 32, 1, 2, False, 1),
    ("1x1x1 32-16", 32, 16, 1, 1, False, 1), ("head 16-4", 16, 4, 1, 1, False, 1),
]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--patch", type=int, default=64)
    options.add_argument("--batch", type=int, default=2)
    options.add_argument("--layout", choices=["ndhwc", "ncdhw"], default="ndhwc")
    options.add_argument("--cpu-time", action="store_true", help="time on a core instead of wall time (a busy machine, one thread)")
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    layout = torch.channels_last_3d if options.layout == "ndhwc" else torch.contiguous_format
    clock = time.process_time if options.cpu_time else time.perf_counter
    totals = [0.0, 0.0, 0.0, 0.0]
    for name, ci, co, kernel, stride, transposed, division in LAYERS:
        size = options.patch // division
        x = torch.randn(options.batch, ci, size, size, size).contiguous(memory_format=layout)
        weight = torch.randn(*((ci, co) if transposed else (co, ci)), kernel, kernel, kernel).contiguous(memory_format=layout)
        strides, padding = [stride] * 3, [0 if transposed else (kernel - 1) // 2] * 3

        def forward():
            return F.conv_transpose3d(x, weight, None, strides) if transposed else F.conv3d(x, weight, None, strides, padding)

        grad = torch.randn_like(forward())

        def backward(*mask):
            args = grad, x, weight, None, strides, padding, [1] * 3, transposed, [0] * 3, 1, [*mask, False]
            return torch.ops.aten.convolution_backward(*args)

        gflop = 2e-9 * (x if transposed else grad)[:, 0].numel() * ci * co * kernel**3
        passes = forward, lambda: backward(True, False), lambda: backward(False, True)
        times = [median(run, clock) for run in passes]
        totals = [total + value for total, value in zip(totals, [gflop, *times])]
        print_row(name, gflop, times)
    print_row("sum", totals[0], totals[1:])


def median(run, clock):
    run()
    times = []
    while len(times) < 5 or (sum(times) < 0.3 and len(times) < 500):
        start = clock()
        run()
        times.append(clock() - start)
    return sorted(times)[len(times) // 2]


def print_row(name, gflop, times):
    cells = (f"{seconds * 1e3:7.2f} ms {gflop / seconds:4.0f}/s" for seconds in times)
    print(f"{name:16} {gflop:7.3f} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
