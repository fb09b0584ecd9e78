// Ours against a peer in the same run: the lines of the speed table and what is expected of them.
import { significant, within } from './table.mjs';

/**
 * One line. `ours` and `theirs` are in `unit`; `theirs` is null where no peer ran. `least`: how many times as fast (or
 * as small) as the peer we mean to be. `share`: of what the machine can do, the part that ours uses, where such a
 * figure bounds it.
 */
export function race({ what, ours, peer, theirs = null, least, unit = 's', share = null }) {
  const ratio = theirs === null ? null : theirs / ours;
  const figures = Object.fromEntries(
    Object.entries({ ours, theirs, ratio, share }).map(([k, v]) => [k, significant(v)]),
  );
  return { what, unit, peer, least: significant(least), ...figures };
}

/** The table of some lines. */
export function raceTable(title, races) {
  const columns = ['what', 'ours', 'peer', 'theirs', 'times', 'wanted', 'share of the ceiling'];
  const rows = races.map(({ what, unit, ours, peer, theirs, ratio, least, share }) => [
    what,
    `${ours} ${unit}`,
    peer,
    theirs === null ? null : `${theirs} ${unit}`,
    ratio,
    `≥ ${least}`,
    share,
  ]);
  return { title, columns, rows };
}

/** What is expected of lines whose peer ran. */
export function raceChecks(races) {
  const ran = races.filter(({ ratio }) => ratio !== null);
  return ran.map(({ what, peer, ratio, least }) => within(`${what}: ${peer} / ours`, ratio, { least }));
}
