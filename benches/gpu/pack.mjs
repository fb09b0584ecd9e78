// Builds what a machine with a card needs and may not be able to build itself, into target/cuda/gpu: tests, a bench,
// the package with its CUDA addon, and a CT. There, `bash run.sh OUT` does everything in one run of under ten minutes.
//
//   node benches/gpu/pack.mjs [--dry]     --dry: then runs it here, on the driver double, small and without a race
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, mkdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { main, output, root } from '../../scripts/cuda/command.mjs';
import { onDouble } from '../../scripts/cuda/double.mjs';
import { hostKernels } from '../../scripts/cuda/host-kernels.mjs';
import { environment, workspace } from '../../scripts/cuda/workspace.mjs';

const TESTS = ['card', 'conformance', 'ranks', 'updates', 'windows'];
const pack = join(root, 'target/cuda/gpu');

await main(async () => {
  rmSync(pack, { recursive: true, force: true });
  mkdirSync(pack, { recursive: true });
  const tests = TESTS.flatMap((test) => ['--test', test]);
  for (const [name, file] of executables(['--no-run', ...tests, '--bench', 'unet'])) {
    copyFileSync(file, join(pack, name));
  }
  output(process.execPath, [join(root, 'scripts/build-cuda.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
  copyPackage();
  const phantom = ['phantom', '-o', join(pack, 'phantom'), '--count', '1', '--seed', '900100', '--size', 'small'];
  output(process.execPath, [join(root, 'dist/cli/main.js'), ...phantom]);
  for (const file of ['run.sh', 'unet.py']) copyFileSync(join(root, 'benches/gpu', file), join(pack, file));
  process.stdout.write(`${pack}\n`);
  if (process.argv.includes('--dry')) await dryRun();
});

/** What a machine with a card would do, on the double. */
async function dryRun() {
  const env = onDouble({ EMU_KERNELS: await hostKernels() });
  const child = spawn('bash', [join(pack, 'run.sh'), join(pack, 'out'), '--dry'], { env, stdio: 'inherit' });
  const [status] = await once(child, 'close');
  process.exitCode = status ?? 1;
}

/** Names and files of the tests and benches that cargo makes of `ops` with the feature `cuda`. */
function executables(what) {
  // The addon's own selection of features, so that nothing is built twice.
  const selected = ['-p', 'pulmoav-ops', '-p', 'pulmoav-node', '--features', 'pulmoav-node/cuda'];
  const args = ['test', ...selected, '--message-format', 'json-render-diagnostics'];
  const messages = output('cargo', [...args, ...what], {
    cwd: workspace(),
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
    cure: "The compiler's own words stand above.",
  });
  const lines = messages.split('\n').filter((line) => line.startsWith('{'));
  const made = lines.map((line) => JSON.parse(line)).filter(({ executable }) => executable);
  return made.map(({ target, executable }) => [target.name, executable]);
}

/** The package as it is built, with what it needs at run time. */
function copyPackage() {
  for (const part of ['dist', 'models', 'package.json'])
    cpSync(join(root, part), join(pack, part), { recursive: true });
  const needed = output('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: root }).trim().split('\n').slice(1);
  for (const folder of needed)
    cpSync(folder, join(pack, relative(root, folder)), { recursive: true, dereference: true });
}
