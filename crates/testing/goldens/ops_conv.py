"""Goldens of the convolutions and pools, from PyTorch in float64, written as ops/conv.safetensors.

A case `name` holds `name/in0, in1, ...` (channels innermost: x [n,d,h,w,c], weight [kd,kh,kw,ci,co], bias [co]),
`name/out`, `name/grad_out` and `name/grad0, ...`: the gradients of sum(out * grad_out).
Run: python crates/testing/goldens/ops_conv.py (torch, safetensors).
"""
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

CASES = {}


def case(name, run, *inputs):
    leaves = [tensor.double().requires_grad_() for tensor in inputs]
    out = run(*leaves)
    grad_out = torch.randn(out.shape).float()
    (out * grad_out.double()).sum().backward()
    tensors = {f"in{i}": leaf for i, leaf in enumerate(leaves)}
    tensors |= {f"grad{i}": leaf.grad for i, leaf in enumerate(leaves)}
    tensors |= {"out": out, "grad_out": grad_out}
    CASES.update({f"{name}/{key}": value.detach().float().contiguous() for key, value in tensors.items()})


def first(x):
    return x.permute(0, 4, 1, 2, 3)


def last(x):
    return x.permute(0, 2, 3, 4, 1)


def conv(stride, padding):
    return lambda x, w, b=None: last(F.conv3d(first(x), w.permute(4, 3, 0, 1, 2), b, stride, padding))


def transposed(stride):
    return lambda x, w, b=None: last(F.conv_transpose3d(first(x), w.permute(3, 4, 0, 1, 2), b, stride))


def main():
    torch.manual_seed(3)
    r = torch.randn
    case("conv3d/3x3x3", conv(1, 1), r(2, 5, 6, 7, 5), r(3, 3, 3, 5, 7), r(7))
    case("conv3d/3x3x3_no_bias", conv(1, 1), r(1, 3, 5, 19, 4), r(3, 3, 3, 4, 17))
    case("conv3d/stride_2", conv(2, 1), r(2, 5, 6, 9, 3), r(3, 3, 3, 3, 18), r(18))
    case("conv3d/stem", conv(1, 1), r(1, 4, 4, 33, 2), r(3, 3, 3, 2, 16), r(16))
    case("conv3d/1x1x1", conv(1, 0), r(2, 3, 4, 5, 19), r(1, 1, 1, 19, 3), r(3))
    case("conv3d/1x1x1_stride_2", conv(2, 0), r(2, 4, 5, 6, 4), r(1, 1, 1, 4, 6))
    case("conv3d/odd", conv((3, 2, 1), (0, 2, 3)), r(1, 7, 6, 5, 2), r(2, 5, 7, 2, 3), r(3))
    case("conv3d/wide", conv(1, 1), r(1, 2, 3, 4, 33), r(3, 3, 3, 33, 20))
    case("conv_transpose3d/2x2x2", transposed(2), r(2, 3, 4, 5, 6), r(2, 2, 2, 6, 9), r(9))
    case("conv_transpose3d/1x2x2", transposed((1, 2, 2)), r(1, 3, 4, 5, 17), r(1, 2, 2, 17, 3))
    case("conv_transpose3d/overlap", transposed(2), r(1, 3, 4, 5, 4), r(3, 4, 3, 4, 5), r(5))
    case("conv_transpose3d/gaps", transposed((2, 3, 2)), r(1, 3, 2, 4, 4), r(1, 2, 1, 4, 5), r(5))
    case("max_pool3d/2x2x2", lambda x: last(F.max_pool3d(first(x), 2)), r(2, 5, 4, 7, 3))
    case("max_pool3d/ties", lambda x: last(F.max_pool3d(first(x), (2, 3, 2))), torch.randint(0, 3, (1, 4, 6, 6, 5)))
    case("avg_pool3d/2x2x2", lambda x: last(F.avg_pool3d(first(x), 2)), r(2, 5, 4, 7, 3))
    case("avg_pool3d/1x2x3", lambda x: last(F.avg_pool3d(first(x), (1, 2, 3))), r(2, 3, 4, 7, 5))
    save_file(CASES, Path(__file__).parent / "ops" / "conv.safetensors")


if __name__ == "__main__":
    main()
