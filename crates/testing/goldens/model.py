"""Goldens of both network presets: a second implementation, in PyTorch, with random weights.

Run from this folder: `python model.py` (torch, numpy, safetensors). Writes model/la_caf.safetensors, model/gap.safetensors
and model/pulmoav.safetensors: parameters in the layout of pulmoav-model, `golden.input` (f16), `golden.logits.S` (a scale S,
every STEP-th voxel) and `golden.gradient_norms` (of sum(logits * golden.weights), parameters sorted by name); metadata `plan`.
`la_caf` and `gap` compute on [x, y, z] arrays, as published, and are turned afterwards.
"""

import json
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

STEP = 17


def unit(ci, co):
    return nn.ModuleDict({"conv1": nn.Conv3d(ci, co, 3, padding=1), "bn1": nn.BatchNorm3d(co, track_running_stats=False)})


def run_unit(m, x):
    return F.relu(m["bn1"](m["conv1"](x)))


class Stage(nn.Module):
    def __init__(self, units, up=None):
        super().__init__()
        if up is not None:
            self.up_conv = up
        self.ops = nn.ModuleList(units)

    def forward(self, x, skip=None):
        if skip is not None:
            x = torch.cat([self.up_conv(x), skip], 1)
        for m in self.ops:
            x = run_unit(m, x)
        return x


class Backbone(nn.Module):
    def __init__(self, k):
        super().__init__()
        w = lambda c: max(1, c // k)
        self.down_tr64 = Stage([unit(1, w(32)), unit(w(32), w(64))])
        self.down_tr128 = Stage([unit(w(64), w(64)), unit(w(64), w(128))])
        self.down_tr256 = Stage([unit(w(128), w(128)), unit(w(128), w(256))])
        self.down_tr512 = Stage([unit(w(256), w(256)), unit(w(256), w(512))])
        up = lambda c: nn.ConvTranspose3d(w(c), w(c), 2, stride=2)
        self.up_tr256 = Stage([unit(w(768), w(256)), unit(w(256), w(256))], up(512))
        self.up_tr128 = Stage([unit(w(384), w(128)), unit(w(128), w(128))], up(256))
        self.up_tr64 = Stage([unit(w(192), w(64)), unit(w(64), w(64))], up(128))

    def forward(self, x):
        s1 = self.down_tr64(x)
        s2 = self.down_tr128(F.max_pool3d(s1, 2))
        s3 = self.down_tr256(F.max_pool3d(s2, 2))
        b = self.down_tr512(F.max_pool3d(s3, 2))
        return b, self.up_tr64(self.up_tr128(self.up_tr256(b, s3), s2), s1)


class Adapter(nn.Module):
    def __init__(self, i, h, o):
        super().__init__()
        self.D_fc1, self.D_fc2 = nn.Linear(i, h), nn.Linear(h, o)

    def forward(self, x):
        return self.D_fc2(F.gelu(self.D_fc1(x)))


class LaCaf(nn.Module):
    def __init__(self, k, grid, text_width, prompts, gap):
        super().__init__()
        w = lambda c: max(1, c // k)
        groups = w(16)
        self.gap = gap
        self.backbone = Backbone(k)
        self.precls_conv = nn.Sequential(nn.GroupNorm(groups, w(64)), nn.ReLU(), nn.Conv3d(w(64), 8, 1))
        if gap:
            self.GAP = nn.Sequential(nn.GroupNorm(groups, w(512)), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Conv3d(w(512), w(256), 1))
            self.text_to_vision = nn.Linear(text_width, w(256))
        else:
            self.Feature_adapter1 = nn.Sequential(nn.GroupNorm(groups, w(512)), nn.ReLU())
            self.Feature_adapter2 = nn.Sequential(Adapter(grid, max(1, grid // 4), 1))
            self.Feature_adapter3 = nn.Sequential(nn.Conv3d(w(512), w(256), 1))
            self.txtAdapter = nn.ModuleList([Adapter(text_width, w(128), w(256)) for _ in range(prompts)])
        self.controller = nn.Conv3d(2 * w(256), 153, 1)

    def forward(self, volume, e):
        b, f = self.backbone(volume)
        n, p = volume.shape[0], e.shape[0]
        if self.gap:
            t = F.relu(self.text_to_vision(e))
            x = self.GAP(b).flatten(1)
            xa = x[:, None].expand(n, p, -1)
        else:
            t = F.relu(torch.stack([a(e[c]) for c, a in enumerate(self.txtAdapter)]))
            y = self.Feature_adapter1(b)
            for _ in range(3):
                y = self.Feature_adapter2(y).squeeze(-1)
            x = self.Feature_adapter3(F.relu(y)[:, :, None, None, None]).flatten(1)
            a = t @ t.T
            a = (a - a.min()) / (a.max() - a.min())
            xa = torch.einsum("cj,nk->nck", a, x)
        theta = self.controller(torch.cat([xa, t.expand(n, p, -1)], 2).flatten(0, 1)[:, :, None, None, None]).reshape(n, p, 153)
        h = self.precls_conv(f)
        out = []
        for i in range(n):
            for c in range(p):
                w1, w2, w3, b1, b2, b3 = torch.split(theta[i, c], [64, 64, 8, 8, 8, 1])
                z = h[i : i + 1]
                z = F.relu(F.conv3d(z, w1.reshape(8, 8, 1, 1, 1), b1))
                z = F.relu(F.conv3d(z, w2.reshape(8, 8, 1, 1, 1), b2))
                out.append(F.conv3d(z, w3.reshape(1, 8, 1, 1, 1), b3))
        return [torch.stack(out).reshape(n, p, *volume.shape[2:])]


class ConvNorm(nn.Module):
    def __init__(self, ci, co, k=3, stride=1):
        super().__init__()
        self.conv = nn.Conv3d(ci, co, k, stride=stride, padding=k // 2, bias=False)
        self.norm = nn.InstanceNorm3d(co, affine=True, eps=1e-5)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, ci, co, stride):
        super().__init__()
        self.conv1, self.conv2 = ConvNorm(ci, co, stride=stride), ConvNorm(co, co)
        skip = [nn.AvgPool3d(stride)] if stride > 1 else []
        if ci != co:
            skip.append(ConvNorm(ci, co, 1))
        self.skip = nn.Sequential(*skip)

    def forward(self, x):
        return F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), 0.01)) + self.skip(x), 0.01)


class Attention(nn.Module):
    def __init__(self, w, heads):
        super().__init__()
        self.query, self.value, self.out = nn.Linear(w, w), nn.Linear(w, w), nn.Linear(w, w)
        self.key = nn.Linear(w, w, bias=False)
        self.heads = heads

    def forward(self, q, m):
        split = lambda t: t.unflatten(2, (self.heads, -1)).transpose(1, 2)
        q, k, v = split(self.query(q)), split(self.key(m)), split(self.value(m))
        s = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), 3) @ v
        return self.out(s.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, w, heads):
        super().__init__()
        self.self_norm, self.cross_norm, self.mlp_norm = nn.LayerNorm(w), nn.LayerNorm(w), nn.LayerNorm(w)
        self.self_attention, self.cross_attention = Attention(w, heads), Attention(w, heads)
        self.gate = nn.Linear(w, 1)
        self.mlp = Adapter(w, 2 * w, w)

    def forward(self, q, words, m):
        s = self.self_norm(q)
        q = q + self.self_attention(s, s)
        q = q + torch.sigmoid(self.gate(words)) * self.cross_attention(self.cross_norm(q), m)
        return q + self.mlp(self.mlp_norm(q))


class Mask(nn.Module):
    def __init__(self, w, c):
        super().__init__()
        self.embedding, self.bias = nn.Linear(w, c), nn.Linear(w, 1)

    def forward(self, f, q):
        return torch.einsum("npc,ncdhw->npdhw", self.embedding(q), f) + self.bias(q)[..., None, None]


class PromptDecoder(nn.Module):
    def __init__(self, text_width, w, heads, layers, bottleneck, scales):
        super().__init__()
        self.prompt_norm, self.prompt_adapter = nn.LayerNorm(text_width), Adapter(text_width, w, w)
        self.memory_norm, self.memory = nn.LayerNorm(bottleneck), nn.Linear(bottleneck, w)
        self.layers = nn.ModuleList([Layer(w, heads) for _ in range(layers)])
        self.last_norm = nn.LayerNorm(w)
        self.masks = nn.ModuleList([Mask(w, c) for c in scales])

    def forward(self, b, e, features):
        words = self.prompt_adapter(self.prompt_norm(e - e.mean(0)))
        m = self.memory(self.memory_norm(b.flatten(2).transpose(1, 2)))
        q = words.expand(b.shape[0], -1, -1)
        for layer in self.layers:
            q = layer(q, words, m)
        q = self.last_norm(q)
        return [mask(f, q) for mask, f in zip(self.masks, features)]


class Pulmoav(nn.Module):
    def __init__(self, ci, channels, blocks, width, heads, layers, scales, text_width):
        super().__init__()
        enc = nn.Module()
        enc.stem = nn.Module()
        enc.stem.convs = nn.ModuleList([ConvNorm(ci, channels[0])])
        enc.stages = nn.ModuleList()
        c = channels[0]
        for s, (co, count) in enumerate(zip(channels, blocks)):
            stage = nn.Module()
            stage.blocks = nn.ModuleList()
            for i in range(count):
                stage.blocks.append(Block(c, co, 2 if s > 0 and i == 0 else 1))
                c = co
            enc.stages.append(stage)
        dec = nn.Module()
        dec.transpconvs, dec.stages = nn.ModuleList(), nn.ModuleList()
        for skip in reversed(channels[:-1]):
            dec.transpconvs.append(nn.ConvTranspose3d(c, skip, 2, stride=2, bias=False))
            stage = nn.Module()
            stage.convs = nn.ModuleList([ConvNorm(2 * skip, skip)])
            dec.stages.append(stage)
            c = skip
        self.encoder, self.decoder = enc, dec
        self.prompt_decoder = PromptDecoder(text_width, width, heads, layers, channels[-1], channels[:scales])
        self.scales = scales

    def forward(self, x, e):
        x = F.leaky_relu(self.encoder.stem.convs[0](x), 0.01)
        skips = []
        for stage in self.encoder.stages:
            for block in stage.blocks:
                x = block(x)
            skips.append(x)
        b, features = skips.pop(), []
        x = b
        for up, stage in zip(self.decoder.transpconvs, self.decoder.stages):
            x = F.leaky_relu(stage.convs[0](torch.cat([up(x), skips.pop()], 1)), 0.01)
            features.insert(0, x)
        return self.prompt_decoder(b, e, features)


def ours(name, t, turned):
    """A parameter in our layout; `turned`: it was made for [x, y, z] grids."""
    if t.dim() == 5:
        if turned:
            t = t.permute(0, 1, 4, 3, 2)
        order = (2, 3, 4, 0, 1) if "up_conv" in name or "transpconvs" in name else (2, 3, 4, 1, 0)
        t = t.permute(*order)
        if name.startswith("controller"):
            t = t[0, 0, 0]
    elif t.dim() == 2:
        t = t.T
    return t.detach().contiguous()


def plan(name, channels, patch, network, e):
    sides = [(None, "artery", ["artery"]), ("left", "left vein", ["vein"]), (None, "vessels", ["artery", "vein"])]
    targets = [
        {"name": n, "value": i + 1, "prompt": n, "classes": cs, "side": s, "embedding": e[i].tolist()}
        for i, (s, n, cs) in enumerate(sides)
    ]
    window = {"kind": "window", "windowHu": [-700.0, 300.0]}
    return json.dumps({
        "version": 1, "name": name, "spacingMm": [1.5, 1.5, 1.5], "channels": [window, {"kind": "side"}][:channels], "patch": patch,
        "crop": {"kind": "none"}, "tiles": {"tile": patch, "overlap": 0.5, "blend": "logits", "skipEmpty": False},
        "targets": targets, "defaultTargets": ["artery"], "textEncoder": {"id": "random", "sha256": "0"}, "network": network,
    })


def write(name, net, network, patch, channels, text_width, turned):
    torch.manual_seed(sum(map(ord, name)))
    with torch.no_grad():
        for key, p in net.named_parameters():
            if key.endswith("D_fc2.bias") and "Feature" in key:
                p.fill_(0.5)
            elif p.dim() == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (1.0 if key.endswith(("norm.weight", "bn1.weight")) or "norm.weight" in key else 0.0))
            elif p.dim() == 2 or "controller" in key:
                p.copy_(torch.randn_like(p) / math.sqrt(p[0].numel()))
            else:
                p.copy_(torch.randn_like(p) * math.sqrt(2 / p[0].numel()))
        if turned:
            for m in net.modules():
                if isinstance(m, nn.GroupNorm):
                    m.weight.add_(1.0)
    e = torch.randn(3, text_width) + 0.5
    x = torch.randn(2, *patch, channels).half()
    torch_x = x.float().permute(0, 4, 3, 2, 1) if turned else x.float().permute(0, 4, 1, 2, 3)
    net = net.double()
    logits = net(torch_x.double(), e.double())
    logits = [l.permute(0, 4, 3, 2, 1) if turned else l.permute(0, 2, 3, 4, 1) for l in logits]
    weights = torch.tensor([1.0, -0.7, 0.4], dtype=torch.double)
    loss = sum((l * weights).mean() for l in logits)
    loss.backward()
    tensors = {key: ours(key, p, turned).float() for key, p in net.named_parameters()}
    norms = {key: p.grad.norm() for key, p in net.named_parameters()}
    for s, l in enumerate(logits):
        tensors[f"golden.logits.{s}"] = l.detach().flatten(1, 3)[:, ::STEP].float().contiguous()
    tensors["golden.gradient_norms"] = torch.stack([norms[key] for key in sorted(norms)]).float()
    tensors["golden.weights"] = weights.float()
    tensors["golden.input"] = x.contiguous()
    save_file(tensors, f"model/{name}.safetensors", {"plan": plan(name, channels, patch, network, e)})
    print(name, sum(t.numel() * t.element_size() for t in tensors.values()) // 1000, "kB;", [round(l.std().item(), 3) for l in logits])
    if turned:
        print("  x alive:", [f"{k} {norms[k].item():.2e}" for k in norms if "adapter" in k.lower() or "GAP" in k][:8])


if __name__ == "__main__":
    for name, variant in [("la_caf", "la-caf"), ("gap", "gap")]:
        net = LaCaf(32, 4, 12, 3, variant == "gap")
        write(name, net, {"preset": "la-caf", "widthDivisor": 32, "variant": variant, "textWidth": 12}, [32] * 3, 1, 12, True)
    numbers = dict(channels=[4, 6, 8], blocks=[1, 2, 1], width=8, heads=2, layers=2, scales=2, text_width=12)
    network = {"preset": "pulmoav", "stageChannels": [4, 6, 8], "stageBlocks": [1, 2, 1], "promptWidth": 8, "promptLayers": 2,
               "heads": 2, "supervisedScales": 2, "textWidth": 12, "auxiliary": []}
    write("pulmoav", Pulmoav(2, **numbers), network, [16, 8, 24], 2, 12, False)
