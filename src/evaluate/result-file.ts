import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { FormatError, unreadable } from '../errors.js';
import type { Scores } from '../scores.js';
import { caseName } from './pairs.js';

const rows = z.record(z.string(), z.record(z.string(), z.number().nullable()));
const ours = z.object({
  cases: z.array(z.object({ name: z.string(), scores: rows.optional() })),
});
/** Our `summary.json`: nnU-Net's fields, and ours under one key. */
const extended = z.object({ pulmoav: ours });
const nnunet = z.object({
  metric_per_case: z.array(z.object({ reference_file: z.string(), metrics: rows })),
});

/** What nnU-Net calls our scores. */
const NNUNET_SCORES: Record<string, string> = {
  Dice: 'dice',
  IoU: 'iou',
  n_pred: 'predVoxels',
  n_ref: 'refVoxels',
};

/**
 * Reads the scored cases of a result file by their names: of `pulmoav evaluate -o`, our `summary.json` or nnU-Net's,
 * whose targets are its label values.
 *
 * @throws IoError, FormatError
 */
export async function readResult(path: string): Promise<Map<string, Scores>> {
  const content = await parsed(path);
  const summary = extended.safeParse(content);
  const result = summary.success ? summary.data.pulmoav : ours.safeParse(content).data;
  if (result) {
    return byName(
      path,
      result.cases.flatMap(({ name, scores }) => (scores ? [[name, scores] as const] : [])),
    );
  }
  const theirs = nnunet.safeParse(content);
  if (theirs.success) {
    return byName(
      path,
      theirs.data.metric_per_case.map(
        ({ reference_file, metrics }) => [caseName(reference_file), renamed(metrics)] as const,
      ),
    );
  }
  throw new FormatError(
    'ERR_FORMAT',
    `"${path}" is neither a result of "pulmoav evaluate -o" nor a summary.json. Score the folder again.`,
  );
}

async function parsed(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error);
  }
  try {
    // nnU-Net writes NaN where a score is not defined, which JSON does not know.
    return JSON.parse(text.replace(/(:\s*)NaN(?=\s*[,}])/g, '$1null'));
  } catch (error) {
    throw new FormatError('ERR_FORMAT', `"${path}" is no JSON: ${(error as Error).message}.`, { cause: error });
  }
}

function byName(path: string, cases: (readonly [string, Scores])[]): Map<string, Scores> {
  const found = new Map(cases);
  if (found.size < cases.length) {
    const twice = cases.find(([name], at) => cases.findIndex(([other]) => other === name) < at)?.[0];
    throw new FormatError('ERR_FORMAT', `"${path}" lists the case "${twice}" twice, so cases cannot be paired.`);
  }
  return found;
}

function renamed(metrics: Scores): Scores {
  const row = (scores: Scores[string]) =>
    Object.fromEntries(Object.entries(scores).map(([name, value]) => [NNUNET_SCORES[name] ?? name, value]));
  return Object.fromEntries(Object.entries(metrics).map(([target, scores]) => [target, row(scores)]));
}
