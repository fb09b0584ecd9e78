"""Goldens of the normalisations, activations, attention, linear layer and upsampling of crates/ops, by PyTorch.

Run: python crates/testing/goldens/ops_norm.py   (writes ops/norm.safetensors beside itself)

Everything is computed in float64 from float32 inputs. Tensors are channels last. A case `NAME` holds its inputs
`NAME/in0, in1, …`, the cotangent `NAME/grad_out`, the result `NAME/out` and the gradients `NAME/grad0, …` of
sum(out * grad_out).
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save

generator = torch.Generator().manual_seed(20)
tensors = {}


def random(*shape, scale=1.0, shift=0.0):
    return (torch.randn(*shape, generator=generator) * scale + shift).float()


def case(name, function, **inputs):
    leaves = {key: value.double().requires_grad_() for key, value in inputs.items()}
    out = function(**leaves)
    cotangent = random(*out.shape)
    (out * cotangent.double()).sum().backward()
    for i, (key, value) in enumerate(inputs.items()):
        tensors[f"{name}/in{i}"] = value
        tensors[f"{name}/grad{i}"] = leaves[key].grad.float()
    tensors[f"{name}/grad_out"] = cotangent
    tensors[f"{name}/out"] = out.detach().float()


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def affine(c):
    return {"gamma": random(c, scale=0.3, shift=1.0), "beta": random(c, scale=0.5)}


def leaky(x):
    return F.leaky_relu(x, 0.01)


case("instance_norm/affine", lambda x, gamma, beta: last(leaky(F.instance_norm(first(x), weight=gamma, bias=beta, eps=1e-5))),
     x=random(2, 3, 4, 5, 5, scale=2, shift=3), **affine(5))
case("instance_norm/plain", lambda x: last(F.instance_norm(first(x), eps=1e-3)), x=random(1, 4, 3, 7, 1))
case("group_norm/3_groups", lambda x, gamma, beta: last(F.relu(F.group_norm(first(x), 3, gamma, beta, eps=1e-5))),
     x=random(2, 2, 3, 4, 12, shift=-1), **affine(12))
case("batch_norm/relu", lambda x, gamma, beta: last(F.relu(F.batch_norm(first(x), None, None, gamma, beta, training=True))),
     x=random(3, 3, 2, 4, 7, scale=5, shift=10), **affine(7))
case("batch_norm/wide", lambda x, gamma, beta: last(leaky(F.batch_norm(first(x), None, None, gamma, beta, training=True))),
     x=random(1, 2, 2, 2, 70), **affine(70))

for mode in ["nearest", "trilinear"]:
    for name, size in [("double", (4, 6, 8)), ("odd", (5, 3, 11)), ("down", (2, 2, 3))]:
        corners = {"align_corners": False} if mode == "trilinear" else {}
        case(f"upsample_{mode}3d/{name}", lambda x: last(F.interpolate(first(x), size=size, mode=mode, **corners)),
             x=random(2, 2, 3, 4, 3))


def attention(q, k, v, heads, mask=None):
    split = lambda t: t.unflatten(-1, (heads, -1)).transpose(1, 2)
    out = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=mask)
    return out.transpose(1, 2).flatten(-2)


seen = torch.tensor([[True, False, True, True, False, True, True], [False, False, False, True, True, False, False]])
case("attention/none", lambda q, k, v: attention(q, k, v, 3), q=random(2, 5, 12, scale=2), k=random(2, 7, 12), v=random(2, 7, 12))
case("attention/causal", lambda q, k, v: attention(q, k, v, 2, torch.ones(6, 6).tril().bool()),
     q=random(2, 6, 34), k=random(2, 6, 34), v=random(2, 6, 34))
case("attention/keys", lambda q, k, v: attention(q, k, v, 1, seen[:, None, None, :]),
     q=random(2, 19, 4), k=random(2, 7, 4), v=random(2, 7, 4))

case("layer_norm/rows", lambda x, gamma, beta: F.layer_norm(x, (33,), gamma, beta, eps=1e-5),
     x=random(2, 9, 33, scale=3, shift=5), **affine(33))
case("linear/bias", lambda x, weight, bias: x @ weight + bias, x=random(2, 3, 11), weight=random(11, 5), bias=random(5))
case("linear/plain", lambda x, weight: x @ weight, x=random(13, 4), weight=random(4, 1))

ramp = torch.linspace(-9, 9, 181)[None]
case("gelu_erf/ramp", lambda x: F.gelu(x), x=ramp)
case("quick_gelu/ramp", lambda x: x * torch.sigmoid(1.702 * x), x=ramp)
case("sigmoid/ramp", lambda x: torch.sigmoid(x), x=ramp)
case("activate/relu", lambda x: F.relu(x), x=ramp + 0.01)
case("activate/leaky", lambda x: F.leaky_relu(x, 0.2), x=ramp + 0.01)
case("add_activate/leaky", lambda x, skip: leaky(x + skip), x=random(2, 3, 4, 5, 3), skip=random(2, 3, 4, 5, 3))
case("add_activate/none", lambda x, skip: x + skip, x=random(3, 5), skip=random(3, 5))
case("concat_channels/odd", lambda a, b: torch.cat([a, b], -1), a=random(2, 3, 2, 3, 5), b=random(2, 3, 2, 3, 2))
case("batch_norm/smooth", lambda x, gamma, beta: last(F.batch_norm(first(x), None, None, gamma, beta, training=True)),
     x=random(2, 3, 4, 3, 5), **affine(5))
# Three texts of 4, 1 and 3 tokens in a row, each blind to the others.
text = torch.tensor([0, 0, 0, 0, 1, 2, 2, 2])
case("attention/causal_from", lambda q, k, v: attention(q, k, v, 2, torch.ones(8, 8).tril().bool() & (text[:, None] == text)),
     q=random(2, 8, 12), k=random(2, 8, 12), v=random(2, 8, 12))

path = Path(__file__).parent / "ops" / "norm.safetensors"
path.parent.mkdir(exist_ok=True)
path.write_bytes(save({name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}))
