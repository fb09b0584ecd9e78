// Input: three prompts of at most 20 tokens, CLIP text towers of the real sizes with seeded random weights. Expected:
// the reference's embeddings to 1e-5; for ViT-B/32 at least 4 times as fast as the reference padded to 77 tokens, 1.3
// times padded to the longest prompt; below 0.1 ms for prompts known already. Peer: transformers (--python FILE).
// With --model DIR|owner/name and the shared data at hand: how far that checkpoint is from the real ViT-B/32.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { encodeText } from '../../dist/index.js';
import { DEFAULT_MODEL } from '../../dist/models.js';
import { root } from '../machine.mjs';
import { halves } from '../npy.mjs';
import { race } from '../race.mjs';
import { median, three, within } from '../table.mjs';

export const about =
  'CLIP text tower against transformers (--python FILE); --model NAME: distance from the real ViT-B/32';

const REPEATS = 20;
/** Width, activation and stored type; the first one is also timed. ViT-B/16 has the text tower of ViT-B/32. */
const TOWERS = [
  ['ViT-B/32 of OpenAI', 512, 'quick_gelu', 'float32'],
  ['ViT-L/14 of OpenAI', 768, 'quick_gelu', 'float32'],
  ['ViT-L/14 of LAION', 768, 'gelu', 'float32'],
  ['ViT-B/32 of LAION in bf16', 512, 'gelu', 'bfloat16'],
];
const PROMPTS = [
  'A computerized tomography of a left artery',
  'A computerized tomography of a right pulmonary vein in the lower lobe',
  'pulmonary veins',
];

export async function run({ work, python, threads = cpus().length, model, data, say }) {
  if (model !== DEFAULT_MODEL) return distance(model, join(data, 'clip'));
  if (!python)
    throw new Error('the peer makes the weights: name an interpreter with torch and transformers by --python');
  const towers = [];
  for (const tower of TOWERS) towers.push(await parity(tower, { work, python, threads, say }));
  const [{ folder, theirs, ids }] = towers;
  const fresh = await seconds((repeat) => PROMPTS.map((prompt) => spelt(prompt, repeat)), folder);
  const cached = await seconds(() => PROMPTS, folder);
  const ms = (value) => three(value * 1000);
  const rows = [
    ['ours', ms(fresh)],
    ['ours, known prompts', ms(cached)],
    ['transformers, padded to 77', ms(theirs.padded)],
    ['transformers, padded to the longest', ms(theirs.longest)],
  ];
  return {
    threads,
    tokens: ids.map((row) => row.length),
    races: [
      race({
        what: 'three prompts through ViT-B/32',
        ours: fresh,
        peer: 'transformers, padded to 77',
        theirs: theirs.padded,
        least: 4,
      }),
      race({
        what: 'three prompts through ViT-B/32',
        ours: fresh,
        peer: 'transformers, padded to the longest',
        theirs: theirs.longest,
        least: 1.3,
      }),
    ],
    tables: [
      { title: `Three prompts through ${TOWERS[0][0]}, ${threads} threads`, columns: ['who', 'ms'], rows },
      {
        title: 'Embeddings',
        columns: ['tower', 'relative distance'],
        rows: towers.map((one) => [one.name, one.error]),
      },
    ],
    checks: [
      ...towers.map(({ name, error }) => within(`relative distance, ${name}`, error, { most: 1e-5 })),
      within('ms for known prompts', ms(cached), { most: 0.1 }),
    ],
  };
}

/** A tower's weights, written once, and how far our embeddings are from the reference's. */
async function parity([name, width, activation, type], { work, python, threads, say }) {
  const folder = join(work, `${width}-${activation}-${type}`);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'model.safetensors'))) peer(python, ['write', folder, String(width), activation, type]);
  const { ids, embeddings } = await encodeText(PROMPTS, { model: folder });
  writeFileSync(join(work, 'ids.json'), JSON.stringify(ids));
  const theirs = peer(python, ['run', folder, join(work, 'ids.json'), String(threads)]);
  const error = relativeDistance(embeddings, theirs.embeddings.flat());
  say(`${name}: relative distance ${error.toExponential(1)}`);
  return { name, folder, ids, error, theirs: theirs.seconds };
}

/** The same tokens but for one, so that no repeat is known already. */
function spelt(prompt, repeat) {
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  return prompt.replace(/^\S+/, letters[repeat % 26]);
}

async function seconds(prompts, model) {
  const times = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const asked = prompts(repeat);
    const start = performance.now();
    await encodeText(asked, { model });
    times.push((performance.now() - start) / 1000);
  }
  return median(times);
}

/** How far a checkpoint's embeddings are from those that the real ViT-B/32 gave. */
async function distance(model, folder) {
  const names = readFileSync(join(folder, 'coco_prompts.txt'), 'utf8').trim().split('\n');
  const expected = halves(readFileSync(join(folder, 'coco_clip_a+cname.npy')));
  const { embeddings } = await encodeText(names, { model });
  const error = relativeDistance(embeddings, expected);
  return {
    tables: [{ title: `${names.length} prompts`, columns: ['model', 'relative distance'], rows: [[model, error]] }],
    checks: [within('relative distance from the real ViT-B/32 (half precision)', error, { most: 1e-3 })],
  };
}

/** ‖ours − theirs‖ / ‖theirs‖ over all numbers. */
function relativeDistance(ours, theirs) {
  if (ours.length !== theirs.length) throw new Error(`${ours.length} numbers, expected ${theirs.length}`);
  let [difference, length] = [0, 0];
  for (let i = 0; i < theirs.length; i++) {
    difference += (ours[i] - theirs[i]) ** 2;
    length += theirs[i] ** 2;
  }
  return Math.sqrt(difference / length);
}

function peer(python, args) {
  const script = join(root, 'benches', 'clip_text_torch.py');
  const { status, stdout, stderr } = spawnSync(python, [script, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${python} ended with status ${status}: ${stderr}`);
  const line = stdout.trim().split('\n').at(-1);
  return line ? JSON.parse(line) : null;
}
