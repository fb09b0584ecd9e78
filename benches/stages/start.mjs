// Input: the bundled model. Expected: loaded soon after the process starts. Peer: node starting with nothing to do.
import { spawnSync } from 'node:child_process';
import { modelFacts, root } from '../machine.mjs';
import { median, three, within } from '../table.mjs';

export const about = 'process start until the model is loaded (--count N runs)';

const RUNS = 7;
const MOST_SECONDS = 1;
const LOAD =
  "import { Segmenter } from './dist/index.js'; (await Segmenter.load({ model: process.argv[1] })).dispose();";
const NOTHING = 'export {};';

export async function run({ model: asked, count = RUNS }) {
  const { path, facts: model } = await modelFacts(asked);
  const times = { loaded: [], nothing: [] };
  for (let turn = 0; turn < count; turn++) {
    times.nothing.push(seconds(NOTHING, path));
    times.loaded.push(seconds(LOAD, path));
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
    checks: [within('seconds until the model is loaded', loaded, { most: MOST_SECONDS })],
  };
}

function seconds(script, model) {
  const started = performance.now();
  const command = ['--input-type=module', '--eval', script, model];
  const { status, stderr } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return (performance.now() - started) / 1000;
}
