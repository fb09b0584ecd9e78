// The operators' tests, built with the feature `cuda`, and runs of them on the double.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { output, Refusal, root } from './command.mjs';
import { onDouble } from './double.mjs';
import { environment, workspace } from './workspace.mjs';

/** Test binaries that look for a card. */
const targets = [
  'conformance',
  'card',
  'ranks',
  'repeated',
  'updates',
  'windows',
  'pulmoav_ops',
  'pulmoav_segment',
  'pulmoav_train',
];
/** Of those that hold other tests too, which look for a card. */
const filters = {
  pulmoav_ops: ['conv3d::cuda'],
  pulmoav_segment: ['card::tests', 'a_card'],
  pulmoav_train: ['a_card'],
};

/** Builds them; their paths by name, and the code for cards that they carry. The addon's own selection of features is kept, so that nothing is built twice. */
export function operatorTests() {
  const args = [
    'test',
    '--no-run',
    '-p',
    'pulmoav-ops',
    '-p',
    'pulmoav-segment',
    '-p',
    'pulmoav-train',
    '-p',
    'pulmoav-node',
    '--features',
    'pulmoav-node/cuda',
  ];
  const messages = output('cargo', [...args, '--message-format', 'json-render-diagnostics'], {
    cwd: workspace(),
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
    cure: "The compiler's own words stand above.",
  });
  const made = messages
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  const tests = made.filter(({ executable, target }) => executable && targets.includes(target.name));
  const scripts = made.filter(({ reason, package_id: id }) => reason === 'build-script-executed' && hasKernels(id));
  return {
    binaries: new Map(tests.map(({ target, executable }) => [target.name, executable])),
    ptx: scripts.flatMap(({ out_dir: out }) => filesOf(out, '.ptx')),
    cubins: scripts.flatMap(({ out_dir: out }) => filesOf(out, '.cubin')),
  };
}

/** Whether a package compiles kernels. */
function hasKernels(id) {
  return /pulmoav-ops|candle-kernels/.test(id);
}

function filesOf(folder, end) {
  return readdirSync(folder)
    .filter((name) => name.endsWith(end))
    .map((name) => join(folder, name));
}

/** Runs a test binary, of that name, on the double. Gives its counts, and the last lines where a test failed. */
export function run([name, binary], settings, filter = filters[name] ?? []) {
  const { wrapper = [], ...variables } = settings;
  const env = onDouble({ PULMOAV_CARD: 'required', RUST_BACKTRACE: '0', ...variables });
  // One test at a time: binaries run side by side, and another test's device would end the recording of a stream.
  const [command, ...args] = [...wrapper, binary, '--test-threads=1', ...filter];
  const started = performance.now();
  return new Promise((resolve, reject) => {
    // Goldens are found from the crate.
    const child = spawn(command, args, { cwd: join(root, 'crates/ops'), env, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), 600_000);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      const [, passed = 0, failed = 0] = /test result: \S+ (\d+) passed; (\d+) failed/.exec(said) ?? [];
      if (status === 0 && Number(passed) === 0) {
        reject(new Refusal(`No test of ${name} ran that ${filter.join(' ')} names.`));
      }
      resolve({
        isRight: status === 0,
        passed: Number(passed),
        failed: Number(failed) || Number(status !== 0),
        said,
        signal,
        seconds: (performance.now() - started) / 1000,
      });
    });
  });
}

/** What a run's words say of the fault. */
export function reason(said) {
  const lines = said.split('\n').map((line) => line.trim());
  const panicked = lines.findIndex((line) => line.includes('panicked at'));
  const why =
    lines.find((line) => line.includes('[cuda double] refused')) ??
    lines.find((line) => /on a card:|AddressSanitizer|runtime error/.test(line)) ??
    (panicked < 0 ? '' : lines[panicked + 1]);
  return (why || 'it ended').slice(0, 160);
}
