import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import test from 'ava';
import { writeVolume } from 'pulmoav';
import { pulmoav } from '../dist/cli/program.js';
import { writeSeries } from './dicom-files.js';
import { folder, root, smallChest } from './fixture.js';
import type { CommandEnd } from './run-commands.js';
import { zip } from './zip.js';

/** A command on a page. */
interface Written {
  page: string;
  args: string[];
}

/** What is not run here, and why; flags and arguments are looked at all the same. */
const NOT_RUN: [RegExp, string][] = [
  [/^models (pull|verify|path|rm) openai/, 'needs the hub; models.test.ts has a server of its own'],
  [/--preset totalsegmentator/, "needs TotalSegmentator's weights; nnunet.test.ts has small ones"],
  [/nnUNetTrainer__nnUNetPlans__3d_fullres/, "needs a trainer's folder; nnunet.test.ts has a small one"],
  [/^import best\.pth|imported\b/, 'needs a checkpoint; import.test.ts has a small one'],
  [/^train |RUN\/best/, 'takes long; train.test.ts trains for some steps'],
  [/^phantom /, 'takes long; phantom.test.ts makes some'],
];

const pages = ['README.md', 'CONTRIBUTING.md', 'examples/README.md', 'models/tiny/card.md', ...below('docs')];
const commands = pages.flatMap(commandsOf);
const runnable = commands.filter(({ args }) => !NOT_RUN.some(([which]) => which.test(args.join(' '))));

function below(directory: string): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return entry.name === 'site' ? [] : below(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** The commands in a page's blocks of shell. */
function commandsOf(page: string): Written[] {
  const text = readFileSync(join(root, page), 'utf8');
  const blocks = [...text.matchAll(/```(?:sh|console)\n([\s\S]*?)```/g)].map(([, block]) => block ?? '');
  const lines = blocks.flatMap((block) => block.split('\n'));
  return lines.flatMap((line) => {
    const [, command] = /^(?:\$ )?(?:npx )?pulmoav (.*)$/.exec(line) ?? [];
    return command === undefined ? [] : [{ page, args: words(command) }];
  });
}

/** A line's arguments, without what is remarked behind them. */
function words(line: string): string[] {
  const found = line.replace(/\s#.*$/, '').matchAll(/"([^"]*)"|(\S+)/g);
  return [...found].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** What the pages call by names: a small chest, its labels, and folders of them. */
async function stage(): Promise<string> {
  const at = folder();
  const { ct, labels } = smallChest();
  const lungs = { ...labels, data: labels.data.map((_, index) => (index % 88 < 44 ? 1 : 2)) };
  const phantom = 'phantom_small_900001';
  const scans = ['chest.nii.gz', 'scans/a.nii.gz', 'imagesTs/a_0000.nii.gz', `data/imagesTr/${phantom}_0000.nii.gz`];
  const maps = ['labels.nii.gz', `data/labelsTr/${phantom}.nii.gz`];
  const folders = ['predictions', 'labelsTs', 'other-model', 'PRED', 'REF', 'LUNGS'];
  for (const name of ['scans', 'imagesTs', 'data/imagesTr', 'data/labelsTr', ...folders]) {
    mkdirSync(join(at, name), { recursive: true });
  }
  for (const name of scans) await writeVolume(join(at, name), ct);
  for (const name of maps) await writeVolume(join(at, name), labels);
  for (const name of folders) await writeVolume(join(at, name, 'a.nii.gz'), name === 'LUNGS' ? lungs : labels);
  writeSeries(join(at, 'study'), ct, { uid: '1.2.3.1' });
  writeSeries(join(at, 'second'), ct, { uid: '1.2.3.2', number: 2 });
  writeFileSync(join(at, 'study.zip'), zip(new Map([...filesOf(at, 'study'), ...filesOf(at, 'second')])));
  return at;
}

/** A folder's files, by their names with the folder's. */
function filesOf(at: string, name: string): [string, Buffer][] {
  return readdirSync(join(at, name)).map((file) => [`${name}/${file}`, readFileSync(join(at, name, file))]);
}

test('every command on the pages has flags and arguments that there are', (t) => {
  t.true(commands.length > 40, `${commands.length}`);
  for (const { page, args } of commands) {
    const program = pulmoav();
    for (const command of [program, ...program.commands]) {
      command.exitOverride().configureOutput({ writeErr: () => {} });
      if (command !== program) command.action(() => {});
    }
    t.notThrows(() => program.parse(args, { from: 'user' }), `${page}: pulmoav ${args.join(' ')}`);
  }
});

test('what is not run is on the pages', (t) => {
  for (const [which] of NOT_RUN) {
    t.true(
      commands.some(({ args }) => which.test(args.join(' '))),
      `${which}`,
    );
  }
});

test('every other command runs as it stands', async (t) => {
  const at = await stage();
  const ends = join(at, 'ends.json');
  const lines = runnable.map(({ args }) => args);
  execFileSync(process.execPath, [join(root, '.test/run-commands.js'), ends, JSON.stringify(lines)], {
    cwd: at,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = JSON.parse(readFileSync(ends, 'utf8')) as CommandEnd[];
  t.is(ended.length, runnable.length);
  for (const [index, { page, args }] of runnable.entries()) {
    const { status, problem, seconds } = ended[index] ?? { status: -1, problem: 'not run', seconds: 0 };
    t.log(`${seconds.toFixed(1)} s ${relative('docs', page)}: ${args.join(' ')}`);
    t.is(status, 0, `${page}: pulmoav ${args.join(' ')}: ${problem}`);
  }
});
