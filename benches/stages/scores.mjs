// Input: arteries and veins of 512 × 512 × 400 voxels and a plausible prediction of them, as the peers' scripts make
// them. Expected: the peers' values; Dice at least 15 times as fast as numpy, HD95 and ASSD of border voxels 100 times
// as fast as scipy's recipe in a tenth of its memory, clDice 30 times as fast as skimage, components 40 times as fast
// as scipy. Both sides get the same box: whole volumes, or what the box round both masks holds. Peer: metrics.py
// (--python FILE, --peers DIR with synth.py and metrics.py); --whole races HD95 and clDice on whole volumes too, which
// takes the peer minutes.
import { join, resolve } from 'node:path';
import { cargoBench, peerRows, peerVolumes, threadFlags } from '../processes.mjs';
import { memoryRaces, race } from '../race.mjs';
import { within } from '../table.mjs';

export const about = 'scores of a pair of label maps against numpy, scipy and skimage (--python FILE, --peers DIR)';

const ROUNDS = 3;
/** Our case, the peer's, whose it is, and how many times as fast we mean to be. */
const CASES = [
  ['dice', 'dice', 'numpy', 15],
  ['hd95_bbox', 'hd95_bbox', 'scipy', 100],
  ['cldice_bbox', 'cldice_bbox', 'skimage', 30],
  ['components', 'components', 'scipy', 40],
];
const WHOLE = [
  ['hd95_full', 'hd95_full', 'scipy', 100],
  ['cldice_full', 'cldice_full', 'skimage', 30],
];
/** How far our values may be from the peer's; thinning differs in what it calls an end. */
const TOLERANCE = { dice: 1e-12, hd95: 1e-6, cldice: 0.01, components: 0 };

export async function run({ shared, threads, count = ROUNDS, python, peers, whole, say }) {
  const data = peerVolumes({ python, peers, shared, say });
  const script = join(resolve(peers), 'metrics.py');
  const races = [];
  const checks = [];
  const values = {};
  for (const [name, peer, whose, least] of [...CASES, ...(whole ? WHOLE : [])]) {
    say(`${peer} of the peers`);
    const [theirs] = peerRows(python, script, ['--data', data, '--cases', peer, '--reps', 1]);
    const flags = ['--data', data, '--case', name, '--repeats', count, ...threadFlags(threads)];
    const [ours] = cargoBench('scores', flags);
    values[name] = { ours: ours.values, theirs: numbers(theirs.value), shape: theirs.shape };
    races.push(race({ what: name, ours: ours.seconds, peer: whose, theirs: theirs.s_best, least }));
    if (name.startsWith('hd95')) {
      races.push(
        memoryRaces({ what: name, peakBytes: ours.peakBytes, rows: [{ ...theirs, base_rss_gib: 0 }], least: 10 })[0],
      );
    }
    const [kind] = name.split('_');
    const apart = Math.max(...values[name].ours.map((value, at) => Math.abs(value - values[name].theirs[at])));
    checks.push(within(`${name}: difference from the peer`, apart, { most: TOLERANCE[kind] }));
  }
  // Surface elements with their areas have no peer in metrics.py: their time stands beside.
  const [surfaces] = cargoBench('scores', ['--data', data, '--case', 'surfaces_bbox', ...threadFlags(threads)]);
  return { values, surfaceElements: { seconds: surfaces.seconds, values: surfaces.values }, races, checks };
}

/** The numbers in a value as Python prints it. */
function numbers(text) {
  const plain = text.replaceAll(/np\.\w+\(/g, '(');
  return (plain.match(/-?\d+(\.\d+)?(e-?\d+)?/g) ?? []).map(Number);
}
