// Input: noise, 96³, through a plain U-Net of nnU-Net's kind in our operators. Expected: at least 2.2 times as fast as the
// best PyTorch. Peer: PyTorch (eager, compiled) and onnxruntime, round by round in one run (--python FILE, --peers DIR with
// race.py). --print-seconds prints the seconds of one warm forward pass and nothing else.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { root } from '../machine.mjs';
import { three, within } from '../table.mjs';
import { ownUnet } from '../unet.mjs';

export const about = 'a plain U-Net forward at 96³ against PyTorch and onnxruntime (--python FILE, --peers DIR)';

const PATCH = 96;
const ROUNDS = 3;
const LEAST_RATIO = 2.2;

export async function run({ threads, count, python, peers, work, printSeconds }) {
  if (printSeconds) return { print: seconds(threads, 1) };
  if (!python) {
    const own = three(seconds(threads, ROUNDS));
    return {
      seconds: own,
      tables: [{ title: 'U-Net forward', columns: ['who', 's'], rows: [['ours', own]] }],
      checks: [],
    };
  }
  const own = [process.execPath, join(root, 'benches', 'run.mjs'), '--only', 'unet-forward', '--print-seconds'];
  if (threads) own.push('--threads', String(threads));
  const size = [
    '--patch',
    String(PATCH),
    '--rounds',
    String(count ?? ROUNDS),
    ...(threads ? ['--threads', threads] : []),
  ];
  const race = [
    join(resolve(peers), 'race.py'),
    ...size.map(String),
    '--cmd',
    own.map((word) => `'${word}'`).join(' '),
  ];
  const rows = output(python, race, work)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter((row) => row.case === 'race');
  const median = (peer) => rows.find((row) => row.peer === peer)?.s_median;
  const best = Math.min(...rows.filter((row) => row.peer.startsWith('torch')).map((row) => row.s_median));
  const ratio = three(best / median('candidate'));
  const columns = ['who', 's', 'times torch.compile'];
  const table = rows.map((row) => [row.peer, three(row.s_median), three(row.times_torch_compile)]);
  return {
    rows,
    tables: [{ title: `U-Net forward, ${PATCH}³`, columns, rows: table }],
    checks: [within('best torch / ours', ratio, { least: LEAST_RATIO })],
  };
}

const seconds = (threads, repeats) => ownUnet({ patch: PATCH, threads, repeats }).seconds;

function output(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${command} ended with status ${status}: ${stderr}`);
  return stdout;
}
