"""The peer of the stage la-caf: the published network in PyTorch, eager in both layouts and compiled, in turn with a candidate.

    la_caf_torch.py --rounds 3 --threads 2 --cmd 'COMMAND'   COMMAND prints a line of JSON with the seconds of one warm forward pass

Prints a line of JSON a peer and one for the candidate: seconds (median), and the GFLOP of a pass.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "crates/testing/goldens"))
from model import LaCaf  # noqa: E402

PATCH, TEXT_WIDTH, PROMPTS = 96, 512, 4


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=torch.get_num_threads())
    options.add_argument("--cmd", required=True)
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    torch._inductor.config.freezing = True
    volume, words = torch.rand(1, 1, PATCH, PATCH, PATCH), torch.randn(PROMPTS, TEXT_WIDTH)
    last = volume.contiguous(memory_format=torch.channels_last_3d)
    net = lambda: LaCaf(1, PATCH // 8, TEXT_WIDTH, PROMPTS, False).eval()
    plain, channels_last = net(), net().to(memory_format=torch.channels_last_3d)
    compiled = torch.compile(net().to(memory_format=torch.channels_last_3d))
    peers = {
        "torch eager, NCDHW": lambda: plain(volume, words),
        "torch eager, NDHWC": lambda: channels_last(last, words),
        "torch compiled": lambda: compiled(last, words),
    }
    times = {name: [] for name in [*peers, "ours"]}
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            plain(volume, words)
        for _ in range(options.rounds + 1):  # the first one warms up
            for name, forward in peers.items():
                start = time.perf_counter()
                forward()
                times[name].append(time.perf_counter() - start)
            line = subprocess.check_output(options.cmd, shell=True, text=True).strip().splitlines()[-1]
            times["ours"].append(json.loads(line)["seconds"])
    for name, seconds in times.items():
        print(json.dumps({"peer": name, "seconds": statistics.median(seconds[1:]), "all": seconds[1:]}))
    print(json.dumps({"gflop": counter.get_total_flops() / 1e9, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
