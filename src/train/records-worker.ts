// Makes what is derived from a run's log, on a thread of its own: a log of many steps takes seconds.
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { EventLog } from './events.js';
import { metricsCsv } from './metrics.js';
import { drawProgress } from './progress-picture.js';

/** What the thread is asked. */
const request = z.object({ run: z.string(), steps: z.number().nullable() });

const { run, steps } = request.parse(workerData);
const events = new EventLog(run).read();
parentPort?.postMessage({ metrics: metricsCsv(events), progress: drawProgress(events, steps) });
