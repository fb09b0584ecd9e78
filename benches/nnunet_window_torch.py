"""The peer of the stage nnunet-window: nnU-Net's U-Nets at full size in PyTorch, as nnunetv2 runs them, in turn with a candidate.

    nnunet_window_torch.py --net plain --rounds 3 --threads 2 --cmd 'COMMAND'   COMMAND prints a line of JSON with the seconds of one
                                                                                 warm forward pass

Needs torch and dynamic-network-architectures. Networks: plain (31 M parameters, 128^3), residual (102 M, 96^3), anisotropic (kernels
1x3x3 first, 28x256x256). Prints a line of JSON for PyTorch and one for the candidate: seconds (median), and the GFLOP of a pass.
"""

import argparse
import json
import statistics
import subprocess
import time

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch.utils.flop_counter import FlopCounterMode

SIX = [32, 64, 128, 256, 320, 320]
HALVED = [[1, 1, 1]] + [[2, 2, 2]] * 5
CUBES = [[3, 3, 3]] * 6
NETS = {
    "plain": ([128, 128, 128], PlainConvUNet, SIX, CUBES, HALVED, {"n_conv_per_stage": [2] * 6}, 2),
    "residual": ([96, 96, 96], ResidualEncoderUNet, SIX, CUBES, HALVED, {"n_blocks_per_stage": [1, 3, 4, 6, 6, 6]}, 1),
    "anisotropic": (
        [28, 256, 256],
        PlainConvUNet,
        [32, 64, 128, 256, 320, 320, 320],
        [[1, 3, 3]] * 2 + [[3, 3, 3]] * 5,
        [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2], [1, 2, 2]],
        {"n_conv_per_stage": [2] * 7},
        2,
    ),
}


def network(kind, features, kernels, strides, blocks, decoder):
    return kind(
        input_channels=1, n_stages=len(features), features_per_stage=features, conv_op=torch.nn.Conv3d, kernel_sizes=kernels,
        strides=strides, num_classes=5, n_conv_per_stage_decoder=[decoder] * (len(features) - 1), conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True}, deep_supervision=False, **blocks,
    ).eval()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--net", choices=NETS, default="plain")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=torch.get_num_threads())
    options.add_argument("--cmd")
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    patch, *parts = NETS[options.net]
    net, x = network(*parts), torch.rand(1, 1, *patch)
    times = {"torch": [], "ours": []}
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            net(x)
        for _ in range(options.rounds):
            start = time.perf_counter()
            net(x)
            times["torch"].append(time.perf_counter() - start)
            if options.cmd:
                line = subprocess.check_output(options.cmd, shell=True, text=True).strip().splitlines()[-1]
                times["ours"].append(json.loads(line)["seconds"])
    for name, seconds in times.items():
        if seconds:
            print(json.dumps({"peer": name, "seconds": statistics.median(seconds), "all": seconds}))
    print(json.dumps({"gflop": counter.get_total_flops() / 1e9, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
