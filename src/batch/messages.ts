import type { SegmentJob, SegmentReport } from '../segment-file.js';
import type { Progress } from '../types.js';

/** What the batch tells one of its processes. */
export type Order = { type: 'label'; job: SegmentJob } | { type: 'cancel' };

/** A failure as it crosses between processes. */
export interface Failure {
  code: string;
  message: string;
  hint: string | null;
}

/** What a process tells its batch. */
export type Answer =
  | { type: 'progress'; progress: Progress }
  | { type: 'done'; report: SegmentReport }
  | { type: 'failed'; failure: Failure }
  | { type: 'cancelled' };
