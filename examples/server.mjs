// A server that labels scans: node examples/server.mjs [PORT]
//
//   curl --data-binary @scan.nii.gz localhost:8080/jobs          → {"id":"1"}
//   curl localhost:8080/jobs/1                                   → how far it is, or what was found
//   curl localhost:8080/jobs/1/labels -o labels.nii.gz           → the label map
//   curl -X DELETE localhost:8080/jobs/1                         → stops it
//
// One scan is labelled at a time, since one scan can use every core. Keep it behind something that knows its users.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isPulmoavError, labelNames, Segmenter, writeVolume } from 'pulmoav';

const MOST_BYTES = 2 ** 30;
const segmenter = await Segmenter.load();
const folder = await mkdtemp(join(tmpdir(), 'server-'));
const jobs = new Map();
let last = Promise.resolve();

function start(scan) {
  const id = String(jobs.size + 1);
  const controller = new AbortController();
  const job = { state: 'waiting', progress: null, controller };
  jobs.set(id, job);
  last = last.then(async () => {
    try {
      job.state = 'running';
      const onProgress = (progress) => {
        job.progress = progress;
      };
      const { signal } = controller;
      const { labels, targets, structures, warnings } = await segmenter.segment(scan, { signal, onProgress });
      const path = join(folder, `${id}.nii.gz`);
      await writeVolume(path, labels, { labels: labelNames([...targets, ...structures]) });
      Object.assign(job, { state: 'done', targets, warnings, path });
    } catch (error) {
      const state = controller.signal.aborted ? 'cancelled' : 'failed';
      const code = isPulmoavError(error) ? error.code : null;
      Object.assign(job, { state, error: { code, message: String(error.message) } });
    }
  });
  return id;
}

async function body(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new RangeError(`a scan may have ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function answer(request, response) {
  const say = (status, value) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
  };
  const [, jobsWord, id, what] = new URL(request.url, 'http://server').pathname.split('/');
  if (jobsWord !== 'jobs') return say(404, { message: 'there are only /jobs' });
  if (request.method === 'POST') return say(202, { id: start(await body(request)) });
  const job = jobs.get(id);
  if (!job) return say(404, { message: 'there is no such job' });
  if (request.method === 'DELETE') job.controller.abort();
  if (what === 'labels' && job.path) {
    return response.writeHead(200, { 'content-type': 'application/gzip' }).end(await readFile(job.path));
  }
  const { controller: _, path: _path, ...told } = job;
  return say(200, told);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(400).end(`${error.message}\n`));
});
server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);

async function stop() {
  server.close();
  server.closeAllConnections();
  for (const { controller } of jobs.values()) controller.abort();
  await last;
  segmenter.dispose();
  await rm(folder, { recursive: true, force: true });
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
