// Input: test phantoms. Expected: `batch` labels them at 1.15 times the pace of one `segment` after the other, and of one
// process that labels one after the other with the model loaded once.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../machine.mjs';
import { testPhantoms } from '../phantoms.mjs';
import { three, within } from '../table.mjs';

export const about = 'many scans: batch beside one command a scan (--count scans)';

const SCANS = 6;
const LEAST = 1.15;
const MAIN = join(root, 'dist/cli/main.js');

export async function run(context) {
  const scans = (await testPhantoms(context, context.count ?? SCANS)).map(({ image }) => image);
  const out = join(context.work, 'labels');
  const batch = (processes) => {
    rmSync(out, { recursive: true, force: true });
    return seconds(['batch', ...scans, '-o', out, '--processes', String(processes)]);
  };
  // The disk's cache is warm for all ways alike.
  batch(1);
  const ways = {
    'one command a scan': scans.reduce(
      (sum, scan) => sum + seconds(['segment', scan, '-o', join(context.work, 'one.nii.gz'), '--overwrite']),
      0,
    ),
    'batch, 1 process': batch(1),
    'batch, 2 processes': batch(2),
  };
  const rows = Object.entries(ways).map(([way, time]) => [way, three(time), three(time / scans.length)]);
  const times = (way) => three(ways[way] / ways['batch, 2 processes']);
  return {
    settings: { scans: scans.length },
    ways,
    tables: [{ title: `${scans.length} scans`, columns: ['way', 's', 's a scan'], rows }],
    checks: [
      within('pace of batch beside one command a scan', times('one command a scan'), { least: LEAST }),
      within('pace of two processes beside one', times('batch, 1 process'), { least: 1 }),
    ],
  };
}

function seconds(args) {
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return (performance.now() - started) / 1000;
}
