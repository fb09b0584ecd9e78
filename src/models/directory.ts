import { existsSync, readdirSync, statSync } from 'node:fs';
import { UsageError } from '../errors.js';

/** Files of a model directory that holds nothing else. */
const modelFiles = ['card.md', 'model.safetensors', 'plan.json'];

/**
 * Refuses a place for a model directory that holds something other than a model.
 *
 * @throws UsageError
 */
export function checkReplaceable(out: string): void {
  if (!existsSync(out)) return;
  const isFolder = statSync(out).isDirectory();
  const found = isFolder ? readdirSync(out) : [];
  const isModel = found.includes('model.safetensors') && found.every((name) => modelFiles.includes(name));
  if (isFolder && (found.length === 0 || isModel)) return;
  const problem = isFolder ? 'holds something other than a model' : 'is a file';
  throw new UsageError(`"${out}" ${problem}, and stays as it is.`, { hint: 'Choose another directory.' });
}
