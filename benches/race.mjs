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

/**
 * Two lines of peak memory: in all, and without what the peer's interpreter holds before it begins, which is no fault of
 * its arithmetic. `rows` are the peers' (`peak_rss_gib`, `base_rss_gib`); the least of them counts.
 */
export function memoryRaces({ what, peakBytes, rows, least, leastAboveBase }) {
  const ours = peakBytes / 2 ** 30;
  const smallest = (bytes) => rows.filter((row) => row.peak_rss_gib).toSorted((a, b) => bytes(a) - bytes(b))[0];
  const line = (name, bytes, wanted) => {
    const peer = smallest(bytes);
    return race({ what: name, unit: 'GiB', ours, peer: peer?.case, theirs: peer ? bytes(peer) : null, least: wanted });
  };
  return [
    line(`${what}, peak memory`, (row) => row.peak_rss_gib, least),
    line(`${what}, peak memory above the interpreter's`, (row) => row.peak_rss_gib - row.base_rss_gib, leastAboveBase),
  ];
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
