import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../files.js';
import type { TrainEvent } from './events.js';
import { scalarsOf, stepsTaken } from './scalars.js';
import { restartRecord, scalarsRecord, versionRecord } from './tfevents.js';

/**
 * Writes a run's numbers for TensorBoard as they come, each time the run is opened into a new file of
 * `RUN/tensorboard`. A kill may tear the last record, which readers pass over.
 */
export class TensorBoard {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /**
   * Begins a file for a run that has taken `step` steps: readers drop what older files say of later ones.
   *
   * @throws IoError
   */
  static async open(run: string, step: number): Promise<TensorBoard> {
    const folder = join(run, 'tensorboard');
    await makeFolder(folder);
    const board = new TensorBoard(join(folder, nameOf(folder)));
    board.#append(versionRecord(now()), restartRecord(now(), step + 1));
    return board;
  }

  /** Writes the numbers of an event, if it has any. */
  write(event: TrainEvent): void {
    const scalars = scalarsOf(event);
    if (scalars.size > 0) this.#append(scalarsRecord(now(), stepsTaken(event), scalars));
  }

  #append(...records: Buffer[]): void {
    appendFileSync(this.#file, Buffer.concat(records));
  }
}

/** Readers take files in the order of their names, so the new one's comes after all that are there. */
function nameOf(folder: string): string {
  const names = readdirSync(folder).filter((name) => name.startsWith(PREFIX));
  const latest = names.reduce((most, name) => Math.max(most, Number(name.slice(PREFIX.length).split('.')[0]) + 1), 0);
  return `${PREFIX}${String(Math.max(latest, Math.floor(now()))).padStart(10, '0')}.pulmoav`;
}

const PREFIX = 'events.out.tfevents.';

/** Seconds since 1970. */
function now(): number {
  return Date.now() / 1000;
}
