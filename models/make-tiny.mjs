// Makes the bundled model from nothing: the text tower and the network on plain phantoms, then on
// hospital ones too, then on more of both, then twice on larger patches of others.
// Resumable; run it again after an interruption.
//   node models/make-tiny.mjs [WORK_DIR] [--max-time 75m]
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Phantoms of each stage: first seed, number, style, and which of them are only looked at. */
const STAGES = [
  { name: 'plain', phantoms: [{ seed: 1, count: 74, style: 'plain' }], validation: [73, 74] },
  {
    name: 'hospital',
    phantoms: [
      { seed: 20_001, count: 41, style: 'hospital' },
      { seed: 30_001, count: 14, style: 'plain' },
    ],
    validation: [20_002, 30_014],
  },
  {
    name: 'more',
    phantoms: [
      { seed: 20_001, count: 87, style: 'hospital' },
      { seed: 30_001, count: 38, style: 'plain' },
    ],
    validation: [20_002, 30_014],
  },
  {
    name: 'larger',
    phantoms: [
      { seed: 40_001, count: 60, style: 'hospital' },
      { seed: 50_001, count: 30, style: 'plain' },
    ],
    validation: [40_002, 50_030],
    // Its lungs were not found when the bundled weights were made.
    without: [40_012],
  },
  {
    name: 'further',
    phantoms: [
      { seed: 60_001, count: 60, style: 'hospital' },
      { seed: 70_001, count: 30, style: 'plain' },
    ],
    validation: [60_002, 70_030],
  },
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values, positionals } = parseArgs({ allowPositionals: true, options: { 'max-time': { type: 'string' } } });
const work = positionals[0] ?? join(root, 'runs', 'tiny');
const model = join(root, 'models', 'tiny');

let made;
for (const stage of STAGES) made = trained(stage, made);
mkdirSync(model, { recursive: true });
for (const file of ['model.safetensors', 'plan.json']) cpSync(join(made, file), join(model, file));

/** The model that a stage ends with; `init` is the one it begins with. */
function trained({ name, phantoms, validation, without = [] }, init) {
  const data = join(work, name, 'data');
  mkdirSync(data, { recursive: true });
  for (const { seed, count, style } of phantoms) {
    const which = ['--seed', String(seed), '--count', String(count), '--style', style, '--size', 'small'];
    pulmoav('phantom', '-o', data, ...which);
  }
  const seeds = phantoms.flatMap(({ seed, count }) => Array.from({ length: count }, (_, index) => seed + index));
  const others = seeds.filter((seed) => ![...validation, ...without].includes(seed));
  const split = { train: others.map(caseName), val: validation.map(caseName) };
  writeFileSync(join(data, 'splits_final.json'), `${JSON.stringify([split], null, 2)}\n`);
  const config = ['--config', join(root, 'models', `tiny-${name}.json`), ...(init ? ['--init', init] : [])];
  const stop = values['max-time'] ? ['--max-time', values['max-time']] : [];
  const flags = ['-o', join(work, name, 'run'), '--resume', '--json', ...config, ...stop];
  const { reason, best } = JSON.parse(pulmoav('train', data, ...flags));
  if (reason === 'finished') return best;
  console.error('stopped before the last step; run it again to go on');
  process.exit(0);
}

function caseName(seed) {
  return `phantom_small_${String(seed).padStart(5, '0')}`;
}

function pulmoav(...args) {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    stdio: ['inherit', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) process.exit(status ?? 1);
  return stdout;
}
