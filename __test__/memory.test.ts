import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { dataset, folder, root, smallest } from './fixture.js';

const run = promisify(execFile);

/** More than the addon's code and threads take, and far less than the work does. */
const MAX_GROWTH_MIB = 64;

/**
 * Runs `work` twice in a process of its own, small and then large, and gives the resident memory after each, MiB. In
 * `work` the package is `pulmoav`, and `size` 0 or 1.
 */
async function residentMiB(work: string): Promise<[small: number, large: number]> {
  const script = `
    import { readFileSync } from 'node:fs';
    import * as pulmoav from '${join(root, 'dist/index.js')}';
    const resident = async () => {
      for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise((done) => setTimeout(done, 20)); }
      return Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
    };
    const volume = (edge) => ({
      data: new Float64Array(edge ** 3), shape: [edge, edge, edge], spacingMm: [1, 1, 1],
      affine: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
    });
    const work = async (size) => { ${work} };
    await work(0);
    const small = await resident();
    await work(1);
    console.log(JSON.stringify([small, await resident()]));
  `;
  const file = join(folder(), 'work.mjs');
  writeFileSync(file, script);
  const { stdout } = await run(process.execPath, ['--expose-gc', file]);
  const [small, large] = JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]');
  return [small, large];
}

/** Each takes some hundred MiB in its large turn. */
const works: Record<string, () => Promise<string>> = {
  'reading and writing': async () => {
    const file = join(folder(), 'volume.nii');
    return `
      await pulmoav.writeVolume('${file}', volume(size ? 280 : 8));
      await pulmoav.readVolume('${file}');
    `;
  },
  evaluating: async () => 'await pulmoav.evaluate(volume(size ? 280 : 8), volume(size ? 280 : 8));',
  'finding the anatomy': async () => 'await pulmoav.anatomy(volume(size ? 200 : 8));',
  'making phantoms': async () => {
    const out = folder();
    return `if (size) await pulmoav.phantom({ out: '${out}' }); else pulmoav.doctor();`;
  },
  training: async () => {
    const out = folder();
    const config = {
      ...smallest,
      plan: { ...smallest.plan, patch: [64, 64, 64], tiles: { tile: [64, 64, 64] } },
      step: { ...smallest.step, batch: 4 },
    };
    return `
      const config = ${JSON.stringify(config)};
      if (!size) config.plan.patch = config.plan.tiles.tile = [16, 16, 16];
      await pulmoav.train({ dataset: '${await dataset()}', out: '${out}/' + size, config });
    `;
  },
};

// Other systems do not tell so simply.
if (process.platform === 'linux') {
  for (const [name, work] of Object.entries(works)) {
    test(`memory is given back after ${name}`, async (t) => {
      const [small, large] = await residentMiB(await work());
      t.log(`resident after a small turn ${small.toFixed(0)} MiB, after a large one ${large.toFixed(0)} MiB`);
      t.true(large - small < MAX_GROWTH_MIB, `${(large - small).toFixed(0)} MiB stay`);
    });
  }
}
