// Labels scans in worker threads, a model each: node examples/worker-pool.mjs SCAN...
//
// Labelling never blocks the event loop, so one thread is enough for a server. Workers are for programs whose own work
// on the results takes long. Memory is shared between them; `batch` uses processes, of which one can die alone.
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Segmenter } from 'pulmoav';

if (isMainThread) {
  const queue = process.argv.slice(2);
  const count = Math.min(queue.length, 2);
  const threads = Math.max(1, Math.floor(availableParallelism() / count));
  const run = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { threads } });
      const next = () => worker.postMessage(queue.shift() ?? null);
      worker.on('message', (line) => {
        if (line) console.log(line);
        next();
      });
      worker.once('error', reject).once('exit', resolve);
    });
  await Promise.all(Array.from({ length: count }, run));
} else {
  const segmenter = await Segmenter.load({ threads: workerData.threads });
  parentPort.on('message', async (scan) => {
    if (scan === null) {
      segmenter.dispose();
      return parentPort.close();
    }
    const { targets } = await segmenter.segment(scan);
    parentPort.postMessage(
      `${scan}: ${targets.map(({ name, volumeMl }) => `${name} ${volumeMl.toFixed(1)} ml`).join(', ')}`,
    );
  });
  parentPort.postMessage('');
}
