// Labels every scan that is put into a folder: node examples/watch-folder.mjs FOLDER LABELS
//
// Move finished files into the folder; a file that still grows is left until it has stood still for a second.
// Ctrl-C ends it.
import { existsSync, watch } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { segmentToFile } from 'pulmoav';

const [folder, out] = process.argv.slice(2);
const SCAN = /\.(nii|nii\.gz|nrrd|mha)$/;
const controller = new AbortController();
const { signal } = controller;
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => controller.abort());

async function standsStill(path) {
  for (let size = -1; ; ) {
    const { size: now } = await stat(path);
    if (now === size) return;
    size = now;
    await wait(1000, undefined, { signal });
  }
}

async function labelNew() {
  for (const name of (await readdir(folder)).filter((name) => SCAN.test(name)).sort()) {
    const output = join(out, name.replace(SCAN, '.nii.gz'));
    if (existsSync(output)) continue;
    try {
      await standsStill(join(folder, name));
      const { targets } = await segmentToFile({ input: join(folder, name), output, record: true }, { signal });
      console.log(`${name}: ${targets.map(({ name, volumeMl }) => `${name} ${volumeMl.toFixed(1)} ml`).join(', ')}`);
    } catch (error) {
      if (signal.aborted) return;
      console.log(`${name}: ${error.message}`);
    }
  }
}

await mkdir(out, { recursive: true });
let changed = true;
let wake = () => {};
const watcher = watch(folder, () => {
  changed = true;
  wake();
});
signal.addEventListener('abort', () => wake());
console.log(`watching ${folder}`);
while (!signal.aborted) {
  if (changed) {
    changed = false;
    await labelNew();
  } else {
    await new Promise((resolve) => {
      wake = resolve;
    });
  }
}
watcher.close();
