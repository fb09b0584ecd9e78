import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { writeVolume } from 'pulmoav';
import { z } from 'zod';
import { object, pulmoav } from './command.js';
import { dataset, folder, root, smallChest, smallest } from './fixture.js';

const { ct, labels: labelled } = smallChest();

/** What a value has against a schema of docs/schema/reports, where nothing may stand beside what is described. */
function against(name: string, value: unknown): string | null {
  const text = readFileSync(join(root, 'docs/schema/reports', `${name}.schema.json`), 'utf8');
  const strict = text.replaceAll('"additionalProperties": true', '"additionalProperties": false');
  const { success, error } = z.fromJSONSchema(JSON.parse(strict)).safeParse(value);
  return success ? null : z.prettifyError(error);
}

test('what commands print and write is as the schemas say', async (t) => {
  const at = folder();
  const [scan, labels, found] = ['scan.nii.gz', 'labels.nii.gz', 'found.nii.gz'].map((name) => join(at, name)) as [
    string,
    string,
    string,
  ];
  await writeVolume(scan, ct);
  await writeVolume(labels, labelled);
  const data = await dataset();
  const [images, references] = [join(data, 'imagesTr'), join(data, 'labelsTr')];
  const [scores, report] = [join(at, 'scores.json'), join(at, 'report')];
  const asked: [string, string[]][] = [
    ['forecast', ['segment', scan, '-o', found, '--dry-run']],
    ['segment', ['segment', scan, '-o', found, '--keep-lungs', '--prompt', 'left artery', '--prompt', 'right vein']],
    ['batch', ['batch', scan, '-o', join(at, 'out'), '--format', 'mha']],
    ['anatomy', ['anatomy', scan, '-o', join(at, 'anatomy')]],
    ['tree', ['tree', labels, '-o', join(at, 'trees')]],
    ['tidy', ['tidy', labels, '-o', join(at, 'tidy.nii.gz')]],
    ['check', ['check', labels, '--image', scan]],
    ['surface', ['surface', labels, '-o', join(at, 'vessels.stl')]],
    ['evaluate', ['evaluate', '--pred', labels, '--ref', labels, '-o', scores]],
    // Scans are no label maps: cases that fail.
    ['evaluate', ['evaluate', '--pred', images, '--ref', references]],
    ['evaluate', ['evaluate', '--pred', references, '--ref', references, '--against', references, '--report', report]],
    ['compare', ['compare', scores, scores]],
    ['verify', ['verify', data]],
    ['plan', ['plan', data]],
    ['models', ['models', 'list']],
    ['doctor', ['doctor']],
    ['error', ['info', join(at, 'missing.nii')]],
  ];
  for (const [name, args] of asked) {
    const ended = await pulmoav(...args, '--json');
    t.is(against(name, object(ended)), null, `pulmoav ${args.join(' ')}: ${ended.stderr}`);
  }
  t.is(against('run-record', JSON.parse(readFileSync(join(at, 'found.run.json'), 'utf8'))), null);
  t.is(against('batch', JSON.parse(readFileSync(join(at, 'out/batch.json'), 'utf8'))), null);
  t.is(against('anatomy', JSON.parse(readFileSync(join(at, 'anatomy/anatomy.json'), 'utf8'))), null);
  t.is(against('evaluate', JSON.parse(readFileSync(scores, 'utf8'))), null);
});

test('what a data set, a run and a checkpoint are told by is as the schemas say', async (t) => {
  const at = folder();
  const [run, config, imported] = ['run', 'config.json', 'imported'].map((name) => join(at, name)) as [
    string,
    string,
    string,
  ];
  // A teacher, a validation and several batches, so that no kind of event is missing.
  const step = { ...smallest.step, unannotated: 'teacher' };
  writeFileSync(config, JSON.stringify({ ...smallest, steps: 3, validateEvery: 2, step }));
  const checkpoint = join(root, 'crates/testing/goldens/checkpoints/la_caf.pth');
  const asked: [string, string[]][] = [
    ['phantom', ['phantom', '-o', join(at, 'phantoms'), '--style', 'plain']],
    ['train', ['train', await dataset(), '-o', run, '--config', config]],
    ['import', ['import', checkpoint, '-o', imported, '--spacing-mm', '6']],
    ['export', ['export', imported, '-o', join(at, 'weights.safetensors')]],
  ];
  for (const [name, args] of asked) {
    const ended = await pulmoav(...args, '--json');
    t.is(against(name, object(ended)), null, `pulmoav ${args.join(' ')}: ${ended.stderr}`);
  }
  const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n');
  const kinds = new Set(lines.map((line) => JSON.parse(line).type));
  t.true(
    ['start', 'step', 'validation', 'checkpoint', 'end'].every((kind) => kinds.has(kind)),
    [...kinds].join(),
  );
  for (const line of lines) t.is(against('train-event-line', JSON.parse(line)), null, line);
});

test('lines of progress are as the schema says', async (t) => {
  const at = folder();
  await writeVolume(join(at, 'scan.nii.gz'), ct);
  const ended = await pulmoav('anatomy', join(at, 'scan.nii.gz'), '-o', join(at, 'out'), '--progress', 'json');
  const lines = ended.stderr.trim().split('\n');
  t.true(lines.length > 1);
  for (const line of lines) t.is(against('progress-line', JSON.parse(line)), null, line);
});
