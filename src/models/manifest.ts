import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ModelError } from '../errors.js';
import { readJson, writeAtomic } from '../files.js';
import { hashOf } from './hash.js';

/** The file that says what a checkpoint of a run holds. */
export const MANIFEST = 'manifest.json';

const manifest = z.strictObject({
  schemaVersion: z.literal(1),
  /** Steps taken by then. */
  step: z.number().int().min(0),
  /** What made it. */
  versions: z.record(z.string(), z.string()),
  /** SHA-256 of the run's config as JSON. */
  configSha256: z.string(),
  files: z.array(z.strictObject({ name: z.string(), bytes: z.number().int().min(0), sha256: z.string() })),
});

/** What a checkpoint says of itself. */
export type Manifest = z.infer<typeof manifest>;

/**
 * Writes `manifest.json` for the files that a folder holds.
 *
 * @throws IoError
 */
export async function writeManifest(
  folder: string,
  about: Pick<Manifest, 'step' | 'versions' | 'configSha256'>,
): Promise<void> {
  const names = readdirSync(folder).filter((name) => name !== MANIFEST && !name.startsWith('.'));
  const files: Manifest['files'] = [];
  for (const name of names.sort()) {
    const path = join(folder, name);
    files.push({ name, bytes: statSync(path).size, sha256: await hashOf(path, SHA_256) });
  }
  const content: Manifest = { schemaVersion: 1, ...about, files };
  await writeAtomic(join(folder, MANIFEST), `${JSON.stringify(content, null, 2)}\n`);
}

/**
 * Checks a folder's files against its manifest, if it has one.
 *
 * @throws ModelError where one is missing, cut or changed; IoError
 */
export async function checkManifest(folder: string): Promise<Manifest | undefined> {
  const file = join(folder, MANIFEST);
  if (!existsSync(file)) return undefined;
  const parsed = manifest.safeParse(await readJson(file));
  if (!parsed.success) throw damaged(file, 'it is no manifest of a checkpoint');
  for (const { name, bytes, sha256 } of parsed.data.files) {
    const path = join(folder, name);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) throw damaged(path, 'it is missing');
    if (size !== bytes) throw damaged(path, `it has ${size} bytes instead of ${bytes}`);
    if ((await hashOf(path, sha256)) !== sha256) throw damaged(path, 'its content is not what was written');
  }
  return parsed.data;
}

/** As long as a SHA-256 in hex: the kind of hash wanted. */
const SHA_256 = '0'.repeat(64);

function damaged(path: string, how: string): ModelError {
  return new ModelError('ERR_MODEL', `The checkpoint's "${path}" is damaged: ${how}.`, {
    hint: 'Use the other one of "best" and "latest", or train anew.',
  });
}
