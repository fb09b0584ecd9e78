"""The peer of the stage clip-text: transformers' CLIP text tower of any width, seeded random weights.

    clip_text_torch.py write FOLDER WIDTH ACTIVATION TYPE   saves config.json and model.safetensors
    clip_text_torch.py run FOLDER IDS.json THREADS          prints embeddings and medians of seconds, padded to 77 and to the longest
"""

import json
import statistics
import sys
import time

import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

END = 49407


def config(width, activation):
    return CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=12,
        num_attention_heads=width // 64,
        vocab_size=49408,
        max_position_embeddings=77,
        projection_dim=width,
        hidden_act=activation,
        eos_token_id=END,
        bos_token_id=END - 1,
    )


def write(folder, width, activation, kind):
    torch.manual_seed(0)
    model = CLIPTextModelWithProjection(config(width, activation)).eval()
    with torch.no_grad():  # a fresh model's norms and biases are 1 and 0: let every weight matter
        for name, value in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                value.add_(0.1 * torch.randn_like(value))
    model.to(getattr(torch, kind)).save_pretrained(folder)


def run(folder, ids, threads):
    torch.set_num_threads(threads)
    model = CLIPTextModelWithProjection.from_pretrained(folder).float().eval()
    rows = json.load(open(ids))
    longest = max(len(row) for row in rows)
    seconds = {}
    with torch.inference_mode():
        for name, length in {"padded": 77, "longest": longest}.items():
            batch = torch.tensor([row + [END] * (length - len(row)) for row in rows])
            mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
            times = []
            for _ in range(23):
                start = time.perf_counter()
                embeddings = model(input_ids=batch, attention_mask=mask).text_embeds
                times.append(time.perf_counter() - start)
            seconds[name] = statistics.median(times[3:])
    print(json.dumps({"embeddings": embeddings.tolist(), "seconds": seconds}))


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
    else:
        run(sys.argv[2], sys.argv[3], int(sys.argv[4]))
