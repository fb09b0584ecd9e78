import { checkPath } from './check.js';
import { type CheckedCase, checkCase, type DatasetFinding, surveyDataset } from './dataset.js';
import { isPulmoavError } from './errors.js';
import { CALL_OPTIONS, checkOptions } from './options.js';
import type { CallOptions } from './types.js';

/** What was found in a data set. */
export interface Verification {
  /** Cases that were looked at. */
  cases: number;
  /** Whether nothing must be mended: no finding is an `error`. */
  ok: boolean;
  /** What is wrong, or worth knowing: of the whole data set first, then case by case. */
  findings: DatasetFinding[];
}

/**
 * Looks through a data set before anything is learnt from it: lists, files, geometry, values, labels, sides,
 * duplicates. What is wrong with one case is a finding and never stops the others.
 *
 * @param dataset folder with imagesTr, labelsTr and dataset.json
 * @throws IoError, FormatError where the folder or `dataset.json` cannot be read
 * @example
 * const { ok, findings } = await verify('data');
 * if (!ok) console.error(findings.filter(({ severity }) => severity === 'error'));
 */
export async function verify(dataset: string, options: CallOptions = {}): Promise<Verification> {
  checkOptions(options, CALL_OPTIONS);
  checkPath('dataset', dataset);
  const { cases, findings } = await surveyDataset(dataset, options);
  const contents = new Map<string, string>();
  for (const [done, { name, whole }] of cases.entries()) {
    options.onProgress?.({ stage: 'verify', done, total: cases.length });
    if (!whole) continue;
    const checked = await look(dataset, name, options.signal);
    findings.push(...checked.findings);
    const { content } = checked.facts ?? {};
    const twin = content && contents.get(content);
    if (twin) findings.push(duplicate(name, twin));
    else if (content) contents.set(content, name);
  }
  options.onProgress?.({ stage: 'verify', done: cases.length, total: cases.length });
  // The sort is stable: what concerns the whole data set comes first, then case by case.
  findings.sort((a, b) => (a.case ?? '').localeCompare(b.case ?? '', 'en'));
  return { cases: cases.length, ok: findings.every(({ severity }) => severity !== 'error'), findings };
}

/** A case that cannot be looked at is a finding, too. */
async function look(dataset: string, name: string, signal: AbortSignal | undefined): Promise<CheckedCase> {
  try {
    return await checkCase(dataset, name, { anatomy: true, ceilingsMm: [] }, signal);
  } catch (error) {
    if (!isPulmoavError(error) || error.code === 'ERR_INTERNAL') throw error;
    const remedy = 'mend or replace its files';
    return {
      findings: [{ case: name, code: 'UNREADABLE', severity: 'error', message: error.message, remedy }],
      facts: null,
    };
  }
}

function duplicate(name: string, twin: string): DatasetFinding {
  return {
    case: name,
    code: 'DUPLICATE',
    severity: 'error',
    message: `its CT has the same voxels as that of ${twin}`,
    remedy: 'keep one of them: a scan that is learnt from must not be validated on',
  };
}
