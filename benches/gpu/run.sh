#!/usr/bin/env bash
# On a machine with a card: conformance on it, the pipelines on it against the CPU, and the race against PyTorch.
# Everything that was found goes to OUT as text and JSON lines. What is missing there (Node, torch) is left out aloud.
#
#   bash run.sh OUT
set -uo pipefail
cd "$(dirname "$0")"
out=${1:?where to}
mkdir -p "$out"
nvidia-smi | tee "$out/card.txt"
export PULMOAV_CARD=required

for test in card conformance ranks; do
  timeout 120 "./$test" --test-threads 1 2>&1 | tee "$out/$test.txt" | tail -5
  PULMOAV_CUDA_PTX=1 timeout 120 "./$test" --test-threads 1 >"$out/$test.ptx.txt" 2>&1 || echo "$test failed from PTX"
done

race="$out/unet.jsonl"
for what in "--patch 128" "--patch 128 --batch 2 --train"; do
  timeout 60 ./unet --card $what | tee -a "$race"
  if python3 -c 'import torch' 2>/dev/null; then timeout 150 python3 unet.py $what | tee -a "$race"; else echo "no torch here"; fi
  timeout 60 ./unet --card $what | tee -a "$race"
done

if command -v node >/dev/null; then
  ct=$(ls phantom/imagesTr/*.nii.gz | head -1)
  node dist/cli/main.js doctor --json >"$out/doctor.json"
  for device in cpu cuda; do
    timeout 120 node dist/cli/main.js segment "$ct" -o "$out/$device.nii.gz" --device "$device" --json | tee "$out/segment.$device.json"
  done
  node dist/cli/main.js evaluate --pred "$out/cuda.nii.gz" --ref "$out/cpu.nii.gz" --json | tee "$out/agreement.json"
else
  echo "no Node here: the pipelines were left out"
fi
