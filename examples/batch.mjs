// Labels a folder of scans and goes on where it was stopped: node examples/batch.mjs SCANS LABELS
import { batch } from 'pulmoav';

const [scans, out] = process.argv.slice(2);
const controller = new AbortController();
process.once('SIGINT', () => controller.abort());
const { done, made, failed, cases } = await batch(
  { inputs: [scans], out, resume: true },
  {
    signal: controller.signal,
    onCase: ({ name, status }, { ended, total }) => console.log(`${ended}/${total} ${name}: ${status}`),
  },
);
for (const { name, error } of cases.filter(({ error }) => error)) console.log(`${name}: ${error.message}`);
console.log(`${done} done, ${made} made before, ${failed} failed`);
