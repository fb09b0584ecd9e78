// The front door of the benchmarks: npm run bench runs the races and prints their table; --only STAGE[,STAGE] runs some
// stages,
// --recorded prints the table of what was recorded last, --list the stages.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { commandLine, machine, peerVersions, root, sourceState } from './machine.mjs';
import { raceChecks, raceTable } from './race.mjs';
import { printTable } from './table.mjs';

/** What is raced against peers, in the order of the table. */
const RACES = [
  'conv3d',
  'unet-forward',
  'unet-step',
  'la-caf',
  'whole-ct',
  'nnunet-window',
  'nnunet',
  'volume-io',
  'resample',
  'scores',
  'augment',
  'start',
  'clip-text',
];
const STAGES = [
  ...RACES,
  'scaling',
  'phantom-scores',
  'real-ct',
  'determinism',
  'memory',
  'overfit',
  'anatomy',
  'few-labels',
  'learning-on',
  'tidy',
  'check',
  'doubt',
  'batch',
  'round-trips',
];

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    list: { type: 'boolean', default: false },
    recorded: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'no-record': { type: 'boolean', default: false },
    model: { type: 'string', default: 'tiny' },
    work: { type: 'string', default: join(root, 'runs', 'bench') },
    data: { type: 'string', default: join(root, '..', 'shared', 'data') },
    threads: { type: 'string' },
    count: { type: 'string' },
    steps: { type: 'string' },
    cases: { type: 'string' },
    seeds: { type: 'string' },
    init: { type: 'string' },
    whole: { type: 'boolean', default: false },
    kinds: { type: 'string' },
    scans: { type: 'string' },
    labels: { type: 'boolean', default: false },
    pictures: { type: 'string' },
    write: { type: 'string' },
    python: { type: 'string' },
    peers: { type: 'string', default: join(root, '..', 'shared', 'peers') },
    'print-seconds': { type: 'boolean', default: false },
  },
});

const say = (line) => process.stderr.write(`${line}\n`);
if (values.list) {
  for (const name of STAGES) say(`${name}: ${(await stage(name)).about}`);
} else if (values.recorded) {
  printTable(raceTable('As recorded last', (await Promise.all(RACES.map(recordedRaces))).flat()), say);
} else {
  const raced = [];
  for (const name of values.only?.split(',') ?? RACES) {
    const races = await bench(name).catch((error) => {
      say(`${name} broke off: ${error.stack}`);
      process.exitCode = 1;
    });
    raced.push(...(races ?? []));
  }
  if (!values.only && !values.json) printTable(raceTable('Everything raced', raced), say);
}

/** One stage: run, print, record. A check that does not hold makes the exit status 1. Its races, if it has any. */
async function bench(name) {
  const { about, run } = await stage(name);
  if (values['print-seconds']) {
    process.stdout.write(`${(await run(context(values.work))).print}\n`);
    return [];
  }
  say(`${name}: ${about}`);
  const work = join(resolve(values.work), name);
  await mkdir(work, { recursive: true });
  const started = performance.now();
  const { races = [], tables = [], checks = [], ...rest } = await run(context(work));
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const versions = peerVersions(values.python);
  const facts = { stage: name, date: new Date().toISOString(), command: commandLine(), machine: machine(), versions };
  const result = { ...rest, races, tables, checks: [...raceChecks(races), ...checks] };
  const record = { schemaVersion: 1, ...facts, ...sourceState(), seconds, ...result };
  if (!values['no-record']) await keep(record);
  if (values.json) process.stdout.write(`${JSON.stringify(record)}\n`);
  else for (const table of printed(result)) printTable(table, say);
  for (const { what, value, wanted, holds } of result.checks) {
    say(`${holds ? 'holds' : 'FAILS'}: ${what}: ${value}, wanted ${wanted}`);
  }
  if (result.checks.some(({ holds }) => !holds)) process.exitCode = 1;
  return races;
}

function printed({ races, tables }) {
  return races.length > 0 ? [...tables, raceTable('Against peers', races)] : tables;
}

async function recordedRaces(name) {
  const text = await readFile(join(root, 'benches', 'record', `${name}.json`), 'utf8').catch(() => '{}');
  return JSON.parse(text).races ?? [];
}

async function stage(name) {
  if (!STAGES.includes(name)) throw new Error(`There is no stage "${name}"; expected ${STAGES.join(', ')}.`);
  return import(`./stages/${name}.mjs`);
}

/** What a stage is told: where to work, what to use, how much to do. */
function context(work) {
  const number = (text) => (text === undefined ? undefined : Number(text));
  const { model, init, whole, kinds, scans, labels, pictures, write, python, peers } = values;
  const { threads, count, steps, cases, seeds } = Object.fromEntries(
    ['threads', 'count', 'steps', 'cases', 'seeds'].map((name) => [name, number(values[name])]),
  );
  const shared = join(resolve(values.work), 'phantoms');
  return {
    work,
    shared,
    data: resolve(values.data),
    model,
    init,
    threads,
    count,
    steps,
    cases,
    seeds,
    whole,
    kinds,
    scans,
    labels,
    pictures,
    write,
    python,
    peers,
    printSeconds: values['print-seconds'],
    say,
  };
}

async function keep(record) {
  const file = join(root, 'benches', 'record', `${record.stage}.json`);
  await writeFile(file, `${JSON.stringify(record, null, 2)}\n`);
}
