// Makes the bundled model from nothing: phantoms, text tower, network. Resumable; run it again after an interruption.
//   node models/make-tiny.mjs [WORK_DIR] [--max-time 75m]
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PHANTOMS = 74;
const VALIDATION = 2;
const FIRST_SEED = 1;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'max-time': { type: 'string' }, config: { type: 'string', default: join(root, 'models', 'tiny.json') } },
});
const work = positionals[0] ?? join(root, 'runs', 'tiny');
const data = join(work, 'data');
const run = join(work, 'run');
const model = join(root, 'models', 'tiny');

mkdirSync(work, { recursive: true });
pulmoav('phantom', '-o', data, '--count', String(PHANTOMS), '--seed', String(FIRST_SEED), '--size', 'small');
const names = Array.from({ length: PHANTOMS }, (_, index) => `phantom_small_${String(FIRST_SEED + index).padStart(5, '0')}`);
const split = { train: names.slice(0, -VALIDATION), val: names.slice(-VALIDATION) };
writeFileSync(join(data, 'splits_final.json'), `${JSON.stringify([split], null, 2)}\n`);
const stop = values['max-time'] ? ['--max-time', values['max-time']] : [];
const { reason, best } = JSON.parse(pulmoav('train', data, '-o', run, '--config', values.config, '--resume', '--json', ...stop));
if (reason === 'finished') {
  mkdirSync(model, { recursive: true });
  for (const file of ['model.safetensors', 'plan.json']) cpSync(join(best, file), join(model, file));
} else {
  console.error('stopped before the last step; run it again to go on');
}

function pulmoav(...args) {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    stdio: ['inherit', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) process.exit(status ?? 1);
  return stdout;
}
