#!/usr/bin/env bash
# On a machine with a card: conformance on it, the pipelines on it against the CPU, and the race against PyTorch.
# Everything that was found goes to OUT as text and JSON lines. What is missing there (Node, torch) is left out aloud;
# the status says whether anything of ours failed.
#
#   bash run.sh OUT          on a card
#   bash run.sh OUT --dry    on the driver double (node benches/gpu/pack.mjs --dry): the same, small and without a race
set -uo pipefail
cd "$(dirname "$0")"
out=${1:?where to}
dry=${2:-}
mkdir -p "$out"
export PULMOAV_CARD=required
failed=()

# Runs a command for at most so many seconds, shows its last lines, and remembers that it failed.
try() {
  local seconds=$1 to=$2
  shift 2
  timeout "$seconds" "$@" >"$to" 2>"$to.stderr" || { failed+=("$to"); tail -5 "$to" "$to.stderr"; }
  tail -3 "$to"
}

if [ -z "$dry" ]; then nvidia-smi | tee "$out/card.txt"; fi

for test in card conformance ranks updates windows; do
  try 120 "$out/$test.txt" "./$test" --test-threads 1
  PULMOAV_CUDA_PTX=1 try 120 "$out/$test.ptx.txt" "./$test" --test-threads 1
done

if [ -n "$dry" ]; then
  # Raced kernels would do it eight times over.
  PULMOAV_CUDA_CONV=mma try 600 "$out/unet.jsonl" ./unet --card --patch 32 --repeats 1 --matrix 64
else
  number=0
  for what in "--patch 128" "--patch 128 --batch 2 --train"; do
    number=$((number + 1))
    try 60 "$out/unet.$number.before.jsonl" ./unet --card $what
    if python3 -c 'import torch' 2>/dev/null; then
      try 150 "$out/unet.$number.torch.jsonl" python3 unet.py $what
    else
      echo "no torch here"
    fi
    try 60 "$out/unet.$number.after.jsonl" ./unet --card $what
  done
fi

if command -v node >/dev/null; then
  ct=$(ls phantom/imagesTr/*.nii.gz | head -1)
  try 60 "$out/doctor.json" node dist/cli/main.js doctor --json
  for device in cpu cuda; do
    try 300 "$out/segment.$device.json" node dist/cli/main.js segment "$ct" -o "$out/$device.nii.gz" --overwrite --device "$device" --json
  done
  # Label maps pair by name with those of a folder.
  mkdir -p "$out/of.cpu" "$out/of.cuda"
  for device in cpu cuda; do cp "$out/$device.nii.gz" "$out/of.$device/chest.nii.gz"; done
  try 120 "$out/agreement.json" node dist/cli/main.js evaluate --pred "$out/of.cuda" --ref "$out/of.cpu" --json
else
  echo "no Node here: the pipelines were left out"
fi

if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
echo "all of it went well"
