// Input: the bundled model. Expected: loaded, ready for its first tile, 0.3 s after the process starts. Beside it: node
// with nothing to do, and how long Python takes until PyTorch and nibabel are imported, no model loaded (--python
// FILE).
import { spawnSync } from 'node:child_process';
import { modelFacts, root } from '../machine.mjs';
import { race } from '../race.mjs';
import { median, three, within } from '../table.mjs';

export const about = 'process start until the model is loaded (--count N runs)';

const RUNS = 7;
const MAX_SECONDS = 0.3;
const LOAD =
  "import { Segmenter } from './dist/index.js'; (await Segmenter.load({ model: process.argv[1] })).dispose();";
const NOTHING = 'export {};';
const IMPORTS = 'import torch, nibabel';

export async function run({ model: asked, count = RUNS, python }) {
  const { path, facts: model } = await modelFacts(asked);
  const times = { loaded: [], nothing: [], peer: [] };
  for (let turn = 0; turn < count; turn++) {
    times.nothing.push(nodeSeconds(NOTHING, path));
    times.loaded.push(nodeSeconds(LOAD, path));
    if (python) times.peer.push(seconds(python, ['-c', IMPORTS]));
  }
  const [loaded, nothing] = [median(times.loaded), median(times.nothing)].map(three);
  const rows = [
    ['node alone', nothing],
    ['model loaded', loaded],
  ];
  const tables = [{ title: `Start, median of ${count}`, columns: ['process', 's'], rows }];
  return {
    model,
    times,
    tables,
    races: [
      race({
        what: 'process start until the bundled model is ready',
        ours: loaded,
        peer: 'Python, PyTorch and nibabel imported',
        theirs: python ? median(times.peer) : null,
        least: 5,
      }),
    ],
    checks: [within('seconds until the model is loaded', loaded, { most: MAX_SECONDS })],
  };
}

function nodeSeconds(script, model) {
  return seconds(process.execPath, ['--input-type=module', '--eval', script, model]);
}

function seconds(command, args) {
  const started = performance.now();
  const { status, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return (performance.now() - started) / 1000;
}
