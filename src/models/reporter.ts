import type { Progress } from '../types.js';

const REPORT_MS = 100;

/** Told how far a file has come: `download` or `verify`, and bytes of it. */
export type Report = (stage: 'download' | 'verify', bytes: number) => void;

/** Adds the files' progress up, and tells it about ten times a second. */
export class Reporter {
  readonly #listener: ((progress: Progress) => void) | undefined;
  #told = 0;
  #total = 0;
  #before = 0;
  #last: Progress | undefined;

  constructor(listener: ((progress: Progress) => void) | undefined) {
    this.#listener = listener;
  }

  /** Says how much there is in all. */
  expect(files: { bytes: number }[]): void {
    this.#total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The report of one file, which follows those before it. */
  of(file: { bytes: number }): Report {
    const before = this.#before;
    this.#before += file.bytes;
    return (stage, bytes) => this.#tell({ stage, done: before + bytes, total: this.#total });
  }

  /** Tells the end. */
  done(): void {
    this.#told = 0;
    this.#tell({ stage: this.#last?.stage ?? 'verify', done: this.#total, total: this.#total });
  }

  #tell(progress: Progress): void {
    const now = performance.now();
    if (progress.stage === this.#last?.stage && now - this.#told < REPORT_MS && this.#told > 0) return;
    this.#told = now;
    this.#last = progress;
    this.#listener?.(progress);
  }
}
