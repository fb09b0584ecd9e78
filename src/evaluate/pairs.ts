import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { IoError, UsageError, unreadable } from '../errors.js';
import type { EvaluateOptions } from '../evaluate.js';
import { VOLUME_ENDING } from '../files.js';

/** A case by its name, and its files; `null` where none has that name. */
export interface CasePair {
  name: string;
  pred: string | null;
  ref: string | null;
  /** What is read beside them; `undefined` where nothing was given. */
  masks: { [Kind in keyof Masks]: string | null | undefined };
}

/** What is read beside prediction and reference: a file of a case, or a folder with the same names. */
export type Masks = Pick<EvaluateOptions, 'within' | 'lungs' | 'refVeins'>;

/**
 * Pairs the label maps of two folders by name, whatever their formats, and the masks of others. A name that ends
 * in nnU-Net's `_0000` is taken without it where only that has a partner.
 *
 * @throws IoError where a folder cannot be read or holds no label map, UsageError where two files have one name
 */
export function casePairs(pred: string, ref: string, folders: Masks): CasePair[] {
  const [predictions, references] = [volumesOf(pred), volumesOf(ref)];
  for (const [folder, { size }] of [
    [pred, predictions],
    [ref, references],
  ] as const) {
    if (size === 0) throw new IoError('ERR_IO', `The folder "${folder}" holds no NIfTI, NRRD or MetaImage file.`);
  }
  const predicted = aligned(predictions, references);
  const referred = aligned(references, predictions);
  const names = [...new Set([...predicted.keys(), ...referred.keys()])].sort();
  const found = (folder: string | undefined) => (folder === undefined ? undefined : partners(folder, names));
  const [within, lungs, refVeins] = [found(folders.within), found(folders.lungs), found(folders.refVeins)];
  const of = (masks: Map<string, string> | undefined, name: string) => masks && (masks.get(name) ?? null);
  return names.map((name) => ({
    name,
    pred: predicted.get(name) ?? null,
    ref: referred.get(name) ?? null,
    masks: { within: of(within, name), lungs: of(lungs, name), refVeins: of(refVeins, name) },
  }));
}

/** The files of a folder by the names of cases that they go with. */
export function partners(folder: string, names: readonly string[]): Map<string, string> {
  return aligned(volumesOf(folder), new Map(names.map((name) => [name, name])));
}

/** The name of a volume's case: its file's without the ending. */
export function caseName(path: string): string {
  return basename(path).replace(VOLUME_ENDING, '');
}

/** The volumes of a folder by their names. */
function volumesOf(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  // Names with a dot in front are no volumes: macOS leaves `._scan.nii.gz` beside a file that it copies.
  for (const file of filesOf(folder).filter((file) => VOLUME_ENDING.test(file) && !file.startsWith('.'))) {
    const name = caseName(file);
    const other = found.get(name);
    if (other) {
      throw new UsageError(`The folder "${folder}" holds ${basename(other)} and ${file}, two label maps of one name.`, {
        hint: 'Move one of them elsewhere.',
      });
    }
    found.set(name, join(folder, file));
  }
  return found;
}

function aligned(files: Map<string, string>, others: Map<string, string>): Map<string, string> {
  const renamed = (name: string) => {
    const short = name.replace(/_0000$/, '');
    return !others.has(name) && others.has(short) && !files.has(short) ? short : name;
  };
  return new Map([...files].map(([name, file]) => [renamed(name), file]));
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    throw unreadable(folder, error);
  }
}
