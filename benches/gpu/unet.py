"""The plain 3-D U-Net of crates/ops/benches/unet.rs in PyTorch on a card, in bf16: eager in both layouts, and compiled.

Input: noise, one channel. Prints a JSON line a form, as the bench of ours does: median seconds after warming up.

    python unet.py [--patch 128] [--batch 1] [--repeats 30] [--train]
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn

FEATURES = [32, 64, 128, 256, 320, 320]
CLASSES = 3


class Block(nn.Sequential):
    def __init__(self, ci, co, stride):
        super().__init__(
            nn.Conv3d(ci, co, 3, stride, 1, bias=False),
            nn.InstanceNorm3d(co, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        )


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [1, *FEATURES]
        stages = range(len(FEATURES))
        self.down = nn.ModuleList(
            nn.Sequential(
                Block(widths[i], widths[i + 1], 1 if i == 0 else 2),
                Block(widths[i + 1], widths[i + 1], 1),
            )
            for i in stages
        )
        pairs = list(zip(FEATURES[:-1], FEATURES[1:]))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, 2, bias=False) for a, b in pairs)
        self.join = nn.ModuleList(nn.Sequential(Block(2 * a, a, 1), Block(a, a, 1)) for a, _ in pairs)
        self.head = nn.Conv3d(FEATURES[0], CLASSES, 1, bias=False)

    def forward(self, x):
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([up(x), skips.pop()], 1))
        return self.head(x)


def seconds(run, repeats):
    for _ in range(5):
        run()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    facts = {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version(), "card": torch.cuda.get_device_name()}
    for form in ["eager", "channels last", "compiled", "compiled, channels last"]:
        torch.manual_seed(0)
        layout = torch.channels_last_3d if "last" in form else torch.contiguous_format
        network = Unet().cuda().to(memory_format=layout)
        x = torch.rand(options.batch, 1, *[options.patch] * 3, device="cuda").to(memory_format=layout)
        if not options.train:
            network, x = network.bfloat16(), x.bfloat16()
        model = torch.compile(network) if "compiled" in form else network
        optimizer = torch.optim.SGD(network.parameters(), 1e-6)

        def infer():
            with torch.inference_mode():
                model(x)

        def step():
            with torch.autocast("cuda", torch.bfloat16):
                y = model(x)
            y.backward(torch.ones_like(y))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        torch.cuda.reset_peak_memory_stats()
        try:
            found = {"seconds": seconds(step if options.train else infer, options.repeats)}
        except Exception as error:  # a form that does not run is told, and the others go on
            found = {"error": str(error).splitlines()[0]}
        found["peakBytes"] = torch.cuda.max_memory_allocated()
        sizes = {"train": options.train, "patch": options.patch, "batch": options.batch}
        print(json.dumps({"peer": f"torch {form}", **sizes, **found, **facts}), flush=True)


main()
