import { GeometryError, isPulmoavError } from '../../errors.js';
import { partners } from '../../evaluate/pairs.js';
import { type Evaluation, type ScoredCase, scoredCases } from '../../evaluate/result.js';
import type { CallOptions, Volume, Warning } from '../../types.js';
import { readVolume } from '../../volume.js';
import { drawOverlays } from './overlay.js';
import { ranked } from './ranking.js';

/** The pictures of one case. */
export interface CasePicture {
  name: string;
  /** PNG of the first model, and of the second where it has the case. */
  pngs: Uint8Array[];
}

/** All pictures together take no more than this, before they are written as base64. */
const MOST_BYTES = 3 << 20;
/** Scans whose corner lies farther from the label map's are of another grid. */
const SAME_PLACE_MM = 0.1;

/** What to draw. */
export interface Pictured {
  evaluation: Evaluation;
  against: Evaluation | undefined;
  /** Folder of the scans, to be drawn behind. */
  images: string | undefined;
  /** So many of the worst cases. */
  count: number;
}

/** Draws the worst cases; one that cannot be drawn is a warning. */
export async function drawWorst(
  { evaluation, against, images, count }: Pictured,
  options: CallOptions,
): Promise<{ pictures: CasePicture[]; warnings: Warning[] }> {
  const worst = ranked(evaluation).slice(0, count);
  const names = worst.map(({ one }) => one.name);
  const scans = images === undefined ? new Map<string, string>() : partners(images, names);
  const others = new Map(against ? scoredCases(against).map((one) => [one.name, one.pred]) : []);
  const [pictures, warnings]: [CasePicture[], Warning[]] = [[], []];
  let bytes = 0;
  for (const [done, { one }] of worst.entries()) {
    options.onProgress?.({ stage: 'pictures', done, total: worst.length });
    try {
      const pngs = await drawOne(one, others.get(one.name), scans.get(one.name), options.signal, warnings);
      bytes += pngs.reduce((sum, { length }) => sum + length, 0);
      if (bytes > MOST_BYTES) {
        warnings.push({
          code: 'NO_PICTURE',
          message: `${worst.length - done} of the worst cases are not drawn: the page would be too large.`,
        });
        break;
      }
      pictures.push({ name: one.name, pngs });
      if (images !== undefined && !scans.has(one.name)) warnings.push(noScan(one.name, 'has no scan of its name'));
    } catch (error) {
      if (!isPulmoavError(error)) throw error;
      warnings.push({ code: 'NO_PICTURE', message: `${one.name} could not be drawn: ${error.message}` });
    }
  }
  return { pictures, warnings };
}

async function drawOne(
  one: ScoredCase,
  other: string | undefined,
  scanFile: string | undefined,
  signal: AbortSignal | undefined,
  warnings: Warning[],
): Promise<Uint8Array[]> {
  const read = (path: string) => readVolume(path, { signal });
  const ref = await read(one.ref);
  const preds = [await read(one.pred), ...(other === undefined ? [] : [await read(other)])];
  if (preds.some((pred) => !sameGrid(pred, ref))) {
    throw new GeometryError('ERR_GEOMETRY', 'its label maps lie on different grids.');
  }
  const scan = scanFile === undefined ? null : await read(scanFile);
  if (scan && !sameGrid(scan, ref)) warnings.push(noScan(one.name, 'has a scan on another grid than its label map'));
  return drawOverlays({ scan: scan && sameGrid(scan, ref) ? scan : null, ref, preds });
}

function noScan(name: string, why: string): Warning {
  return { code: 'NO_SCAN', message: `${name} ${why}, so it is drawn without one.` };
}

function sameGrid(a: Volume, b: Volume): boolean {
  const near = (value: number, at: number) => Math.abs(value - (b.affine[at] ?? 0)) <= SAME_PLACE_MM;
  return a.shape.every((size, axis) => size === b.shape[axis]) && a.affine.every(near);
}
