// Whole commands with the addon that has CUDA code, on the double: devices and drivers of every kind, segmenting,
// training, several ranks.
import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { output, root } from './command.mjs';
import { onDouble } from './double.mjs';
import { platform } from './platform.mjs';

const tests = ['cuda', 'ranks'];

/** Builds the addon and runs the TypeScript tests that want it; an addon that was not there before is taken away. */
export async function pipelines(kernels) {
  const addon = join(root, `dist/native/pulmoav-cuda.${platform()}.node`);
  const wasThere = existsSync(addon);
  const cure = "The compiler's own words stand above.";
  const stdio = ['ignore', 'pipe', 'inherit'];
  output(process.execPath, [join(root, 'scripts/build-cuda.mjs')], { cwd: root, stdio, cure });
  try {
    output('npx', ['tsc', '-p', '__test__'], { cwd: root, stdio, cure });
    return await ava(onDouble({ EMU_KERNELS: kernels }));
  } finally {
    if (!wasThere) rmSync(addon, { force: true });
  }
}

function ava(env) {
  const files = tests.map((test) => `.test/${test}.test.js`);
  const child = spawn('npx', ['ava', ...files], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  return new Promise((resolve) => {
    child.on('close', (status) => {
      const count = (what) => Number(new RegExp(`(\\d+) tests? ${what}`).exec(said)?.[1] ?? 0);
      const failed = count('failed') || Number(status !== 0);
      resolve({ isRight: status === 0, passed: count('passed'), failed, said });
    });
  });
}
