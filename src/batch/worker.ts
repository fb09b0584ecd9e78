// One process of a batch: it loads the model once and labels the scans that it is handed.
import { isPulmoavError } from '../errors.js';
import { Segmenter } from '../segment.js';
import { checkJob, labelFile, loading, type SegmentJob } from '../segment-file.js';
import type { Answer, Failure, Order } from './messages.js';

const controller = new AbortController();
let segmenter: Segmenter | undefined;

// Ctrl-C reaches every process of the terminal; the batch decides what it means.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', (order: Order) => {
  if (order.type === 'cancel') controller.abort();
  else void label(order.job).then(tell);
});

async function label(job: SegmentJob): Promise<Answer> {
  const { signal } = controller;
  try {
    const started = performance.now();
    await checkJob(job);
    segmenter ??= await Segmenter.load({ ...loading(job), signal });
    const onProgress = (progress: { stage: string; done: number; total: number }) =>
      tell({ type: 'progress', progress });
    return { type: 'done', report: await labelFile(segmenter, job, { signal, onProgress }, started) };
  } catch (error) {
    return signal.aborted ? { type: 'cancelled' } : { type: 'failed', failure: failureOf(error) };
  }
}

function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  return isPulmoavError(error)
    ? { code: error.code, message, hint: error.hint ?? null }
    : { code: 'ERR_INTERNAL', message, hint: null };
}

function tell(answer: Answer): void {
  process.send?.(answer);
}
