import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** The names of a run's model directories. */
export type Kept = 'latest' | 'best';

/**
 * Replaces `RUN/latest` or `RUN/best` by what `save` writes into a fresh directory. Killed at any moment, the run still
 * holds one whole checkpoint: {@link findCheckpoint} finds it.
 */
export async function keep(run: string, name: Kept, save: (directory: string) => Promise<void>): Promise<void> {
  const [fresh, kept, old] = places(run, name);
  await rm(fresh, { recursive: true, force: true });
  await save(fresh);
  await rm(old, { recursive: true, force: true });
  if (existsSync(kept)) await rename(kept, old);
  await rename(fresh, kept);
  await rm(old, { recursive: true, force: true });
}

/** The checkpoint that stands, or the one before it, put back in its place if a kill came between two renames; `undefined` where none is. */
export async function findCheckpoint(run: string, name: Kept): Promise<string | undefined> {
  const [, kept, old] = places(run, name);
  if (existsSync(kept)) return kept;
  if (!existsSync(old)) return undefined;
  await rename(old, kept);
  return kept;
}

function places(run: string, name: Kept): [fresh: string, kept: string, old: string] {
  return [join(run, `.${name}.new`), join(run, name), join(run, `.${name}.old`)];
}
