import type {
  CaseFacts,
  CheckedCase,
  CheckRequest,
  ClassFacts,
  DatasetFinding,
  DatasetSurvey,
  SurveyedCase,
} from './native/binding.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

export type { CaseFacts, CheckedCase, ClassFacts, DatasetFinding, SurveyedCase };

/** Lists a data set's cases, and what is wrong with its lists; no voxel is read. */
export async function surveyDataset(dataset: string, { signal }: CallOptions): Promise<DatasetSurvey> {
  return await call({ signal }, () => addon().surveyDataset(dataset));
}

/** Refuses a data set whose lists cannot be learnt from in a fold; no voxel is read. */
export async function checkDataset(dataset: string, fold: number, { signal }: CallOptions): Promise<void> {
  await call({ signal }, () => addon().checkDataset(dataset, fold));
}

/** Looks at every voxel of a case whose files are all there. */
export async function checkCase(
  dataset: string,
  name: string,
  asked: CheckRequest,
  signal: AbortSignal | undefined,
): Promise<CheckedCase> {
  return await call({ signal }, (monitor) => addon().checkCase(dataset, name, asked, monitor));
}
