import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WEIGHTS } from './cache.js';

/** Where a run may have its model, the better place first; `.old` stands where a kill came between two renames. */
const KEPT = ['best', '.best.old', 'latest', '.latest.old'];

/** Folder of one fold of a run over all of them. */
export function foldFolder(run: string, fold: number): string {
  return join(run, `fold-${fold}`);
}

/**
 * The model directories of a run of `pulmoav train`: its best or latest model, or those of its folds by their number;
 * none where the folder holds no such run.
 */
export function modelsOfRun(run: string): string[] {
  const own = modelOf(run);
  if (own !== undefined) return [own];
  const numbers = foldsOf(run).map((fold) => modelOf(foldFolder(run, fold)));
  return numbers.filter((model) => model !== undefined);
}

/** Whether a folder is one of `pulmoav train`, with a model in it or not yet. */
export function isRun(folder: string): boolean {
  return existsSync(join(folder, 'run.json')) || foldsOf(folder).length > 0;
}

/** Numbers of the folds that a run has begun. */
function foldsOf(run: string): number[] {
  if (!statSync(run, { throwIfNoEntry: false })?.isDirectory()) return [];
  const matches = readdirSync(run).map((name) => /^fold-(\d+)$/.exec(name)?.[1]);
  return matches.flatMap((number) => (number === undefined ? [] : [Number(number)])).sort((a, b) => a - b);
}

function modelOf(run: string): string | undefined {
  return KEPT.map((kept) => join(run, kept)).find((model) => existsSync(join(model, WEIGHTS)));
}
