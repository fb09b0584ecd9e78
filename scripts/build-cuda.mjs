// Makes the CUDA addon beside the CPU one: dist/native/pulmoav-cuda.PLATFORM.node. It needs no CUDA library to load and
// does CPU work too. Give --release for the form that is published.
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { main, output, Refusal, root } from './cuda/command.mjs';
import { platform } from './cuda/platform.mjs';
import { environment, LIBRARY, workspace } from './cuda/workspace.mjs';

await main(() => {
  if (process.platform !== 'linux') throw new Refusal('The CUDA addon is built on Linux only.');
  const library = build(workspace(), process.argv.slice(2));
  checkNeeds(library);
  const target = join(root, `dist/native/pulmoav-cuda.${platform()}.node`);
  mkdirSync(join(root, 'dist/native'), { recursive: true });
  const beside = `${target}.${process.pid}`;
  copyFileSync(library, beside);
  checkLoads(beside);
  renameSync(beside, target);
  process.stdout.write(`${target}\n`);
});

/** The library that cargo makes of the door with the feature `cuda`. */
function build(cwd, options) {
  const args = ['build', '-p', 'pulmoav-node', '--features', 'cuda', '--message-format', 'json-render-diagnostics'];
  const messages = output('cargo', [...args, ...options], {
    cwd,
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
    cure: "The compiler's own words stand above.",
  });
  const made = messages
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  const artifact = made.find(({ reason, target }) => reason === 'compiler-artifact' && target.name === LIBRARY);
  if (!artifact) throw new Refusal('Cargo named no library of pulmoav-node.');
  return artifact.filenames[0];
}

/** Whoever has no CUDA library must be able to load the addon. */
function checkNeeds(library) {
  const dynamic = output('readelf', ['-d', library], { cure: "binutils, which Rust's linker needs too, has it." });
  const needed = [...dynamic.matchAll(/NEEDED.*\[(.+)\]/g)].map(([, name]) => name);
  const unwanted = needed.filter((name) => /cuda|cublas|curand|nvrtc|nccl|cudnn|stdc\+\+/.test(name));
  if (unwanted.length > 0) throw new Refusal(`${library} would not load without ${unwanted.join(', ')}.`);
}

/** In a process of its own, since a library that does not fit may end the process. */
function checkLoads(addon) {
  const loader = `
    const addon = { exports: {} };
    process.dlopen(addon, ${JSON.stringify(addon)});
    if (!('health' in addon.exports)) process.exit(1);`;
  output(process.execPath, ['-e', loader], { cure: 'The addon that was built does not load.' });
}
