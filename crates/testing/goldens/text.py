"""Makes the goldens of pulmoav-model's text tower, and its merges.

    python crates/testing/goldens/text.py                       # goldens/text/*: transformers' CLIP text towers, seeded
    python crates/testing/goldens/text.py bpe_simple_vocab_16e6.txt.gz   # crates/model/src/text/merges.bin from OpenAI's file

Made with torch 2 and transformers 4/5; the towers are random, tiny, and in Hugging Face's own layout.
"""

import gzip
import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).parent
MERGES = 49152 - 256 - 2


def byte_letters():
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def write_merges(path):
    letters = byte_letters()
    ids = {letter: i for i, letter in enumerate(letters)}
    ids.update({letter + "</w>": 256 + i for i, letter in enumerate(letters)})
    out = b""
    for i, line in enumerate(gzip.open(path).read().decode().split("\n")[1 : MERGES + 1]):
        left, right = line.split()
        out += struct.pack("<HH", ids[left], ids[right])
        ids[left + right] = 512 + i
    (HERE.parent.parent / "model/src/text/merges.bin").write_bytes(out)


def write_towers():
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    prompts = [[0, 5, 9, 2, 95], [0, 95], [0, *range(1, 12), 95], [0, 7, 7, 95]]
    for name, activation in [("openai", "quick_gelu"), ("laion", "gelu")]:
        torch.manual_seed(7)
        config = CLIPTextConfig(
            vocab_size=96, hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3, projection_dim=16,
            max_position_embeddings=16, hidden_act=activation, bos_token_id=0, eos_token_id=95, pad_token_id=95,
        )
        model = CLIPTextModelWithProjection(config).eval()
        for key, value in model.named_parameters():
            # Biases and norms away from 0 and 1, so that none can be forgotten.
            value.data += 0.2 * torch.randn_like(value) if value.dim() == 1 else 0.1 * torch.randn_like(value)
        folder = HERE / "text" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"text_config": config.to_dict()}, indent=1, default=str) + "\n")
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
        answers = []
        for ids in prompts:
            with torch.no_grad():
                out = model(torch.tensor([ids]), output_hidden_states=False)
                pooled = model.text_model(torch.tensor([ids])).pooler_output
            answers.append({"ids": ids, "pooled": pooled[0].tolist(), "projected": out.text_embeds[0].tolist()})
        (folder / "answers.json").write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    write_merges(sys.argv[1]) if len(sys.argv) > 1 else write_towers()
