// Runs every operator's kernels on the double: interpreted from PTX, and as code of the host, in both orders, with late
// and early copies, with sanitizers. Then whole commands. Then plants faults, each of which has to be found. Status 75:
// there is no compiler for the kernels here. --no-faults leaves the faults out, --part K/N plants each Nth from the Kth,
// --only WORDS those alone whose name or file has the words; with --races a race detector goes over the kernels too,
// which takes long.
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { finished, inLanes, main, output, Refusal, root } from './cuda/command.mjs';
import { faults } from './cuda/faults.mjs';
import { hostKernels, kernelFiles } from './cuda/host-kernels.mjs';
import { pipelines } from './cuda/pipelines.mjs';
import { operatorTests, reason, run } from './cuda/tests.mjs';
import { toolkit } from './cuda/toolkit.mjs';

const SKIPPED = 75;
const planted = join(root, 'target/cuda/faults');
/** What `--only` asks for. */
const only = option('--only');
/** Which of how many parts of the faults is planted. */
const [part, parts] = (option('--part') ?? '1/1').split('/').map(Number);
let [passed, failed] = [0, 0];

await main(async () => {
  if (!(part >= 1 && part <= parts)) throw new Refusal('--part wants K/N, such as 1/4.');
  const home = compiler();
  if (!home) return;
  const { binaries, ptx } = operatorTests();
  if (!only) await conform(binaries, ptx);
  const found = process.argv.includes('--no-faults') ? '' : `; ${await plantAll(binaries, home)}`;
  process.stdout.write(`\nCUDA tests: ${passed} passed, ${failed} failed${found}\n`);
  if (failed > 0) process.exitCode = 1;
});

/** Every kernel, in every way that it is run. */
async function conform(binaries, ptx) {
  const kernels = await hostKernels();
  understood(ptx);
  const jobs = runs(kernels, await hostKernels('address')).flatMap(([how, settings]) =>
    [...binaries].map((test) => ({ test, how, settings })),
  );
  // Cards of 9.0 have kernels of their own for bf16, which small convolutions do not get by themselves.
  const forced = jobs.filter(({ test: [name] }) => name === 'conformance');
  for (const { test, how, settings } of forced) {
    jobs.push({ test, how: `wgmma, ${how}`, settings: { ...settings, PULMOAV_CUDA_CONV: 'wgmma' } });
  }
  await inLanes(jobs, async ({ test, how, settings }) => told(`${test[0]}, ${how}`, await run(test, settings)));
  told('commands', await pipelines(kernels));
  if (process.argv.includes('--races')) await races(binaries);
}

/** The toolkit, or nothing and why. */
function compiler() {
  if (process.platform === 'linux') {
    try {
      return toolkit();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      process.stdout.write(`skipped: ${error.message}\n`);
    }
  } else process.stdout.write('skipped: CUDA is built on Linux only\n');
  process.exitCode = SKIPPED;
  return undefined;
}

/** How the kernels are run. */
function runs(kernels, sanitized) {
  const interpreted = { PULMOAV_CUDA_PTX: '1' };
  const host = { EMU_KERNELS: kernels };
  const library = (name) => output('g++', [`-print-file-name=${name}`]).trim();
  return [
    ['interpreted', interpreted],
    ['interpreted, last first, early copies', { ...interpreted, EMU_ORDER: 'last', EMU_COPIES: 'early' }],
    ['interpreted, lazy streams', { ...interpreted, EMU_LAZY: '1' }],
    ['interpreted, the first stream lazy', { ...interpreted, EMU_LAZY: 'first' }],
    ['host', host],
    ['host, last first', { ...host, EMU_ORDER: 'last' }],
    ['host, early copies', { ...host, EMU_COPIES: 'early' }],
    ['host, last first, early copies', { ...host, EMU_ORDER: 'last', EMU_COPIES: 'early' }],
    [
      'host, with sanitizers of addresses and undefined behaviour',
      {
        EMU_KERNELS: sanitized,
        EMU_HEAP: '1',
        LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
        ASAN_OPTIONS: 'detect_leaks=0:detect_stack_use_after_return=0',
        UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
      },
    ],
  ];
}

/** With a race detector, which sees threads of one warp too. */
async function races(binaries) {
  const preload = output('g++', ['-print-file-name=libtsan.so']).trim();
  const settings = {
    EMU_KERNELS: await hostKernels('thread'),
    EMU_THREADS: '1',
    TSAN_OPTIONS: 'exitcode=66',
    wrapper: ['setarch', '-R', 'env', `LD_PRELOAD=${preload}`],
  };
  told(
    'conformance, host, with a race detector',
    await run(['conformance', binaries.get('conformance')], settings, []),
  );
}

/** Every instruction of candle's kernels and of ours is one that the interpreter knows. */
function understood(files) {
  const args = ['test', '--quiet', '-p', 'pulmoav-cuda-double', '--target-dir', join(root, 'target/cuda/double-build')];
  output('cargo', [...args, '--', 'real_kernels_are_understood'], {
    cwd: root,
    env: { ...process.env, RUSTFLAGS: '-C target-cpu=native', PULMOAV_PTX: files.join(':') },
    cure: 'Teach crates/cuda-double/src/ptx the instructions that are named.',
  });
  told(`instructions of ${files.length} modules`, { passed: 1, failed: 0, isRight: true });
}

function told(name, outcome) {
  passed += outcome.passed;
  failed += outcome.failed;
  const took = outcome.seconds === undefined ? '' : `, ${outcome.seconds.toFixed(0)} s`;
  process.stdout.write(
    `${outcome.isRight ? 'ok' : 'FAILED'}: ${name}: ${outcome.passed} passed, ${outcome.failed} failed${took}\n`,
  );
  if (!outcome.isRight) process.stdout.write(`${outcome.said.split('\n').slice(-40).join('\n')}\n`);
}

/** Plants each fault in a copy of the sources, a few side by side; the count of those found. */
async function plantAll(binaries, home) {
  const wanted = faults.filter(({ name, file }) => !only || `${name} ${file}`.includes(only));
  const chosen = wanted.filter((_, at) => at % parts === part - 1);
  const compiled = dirname(await hostKernels());
  let found = 0;
  rmSync(planted, { recursive: true, force: true });
  await inLanes(chosen, async (fault, lane) => {
    const folder = join(planted, String(lane));
    if (!existsSync(folder)) cpSync(compiled, join(folder, 'host'), { recursive: true });
    const by = await plant(fault, binaries, home, folder);
    found += Number(by !== undefined);
    failed += Number(by === undefined);
    process.stdout.write(`${by ? 'found' : 'MISSED'}: ${fault.name} (${fault.file})${by ? ` by ${by}` : ''}\n`);
  });
  return `${found} of ${chosen.length} planted faults found, of ${faults.length} that are listed`;
}

/** Who finds a fault, planted in a folder, and by what: the host's code or the interpreter, in one of the orders. */
async function plant(fault, binaries, home, folder) {
  const [test, name] = fault.test;
  const binary = binaries.get(test);
  if (fault.settings) {
    const outcome = await run([test, binary], { PULMOAV_CUDA_PTX: '1', ...fault.settings }, [name]);
    return outcome.isRight ? undefined : `the double: ${reason(outcome.said)}`;
  }
  const sources = join(folder, 'src');
  rmSync(sources, { recursive: true, force: true });
  cpSync(join(root, 'crates/ops/src'), sources, {
    recursive: true,
    preserveTimestamps: true,
    filter: (path) => !path.endsWith('.rs'),
  });
  const file = join(sources, fault.file);
  const text = readFileSync(file, 'utf8');
  if (!text.includes(fault.from))
    throw new Refusal(`The fault "${fault.name}" does not apply: ${fault.file} was changed.`);
  writeFileSync(
    file,
    text.replaceAll(fault.from, () => fault.to),
  );
  const library = await hostKernels('plain', sources, join(folder, 'host'));
  for (const [how, order] of Object.entries({
    'first first': {},
    'last first, early copies': { EMU_ORDER: 'last', EMU_COPIES: 'early' },
  })) {
    const outcome = await run([test, binary], { EMU_KERNELS: library, ...order }, [name]);
    if (!outcome.isRight) return `the host's code, ${how}: ${reason(outcome.said)}`;
  }
  for (const kernels of kernelFiles(sources)) {
    if (!sees(kernels, fault.file)) continue;
    const ptx = join(folder, 'kernels.ptx');
    await finished(join(home, 'bin/nvcc'), [
      '-std=c++17',
      '-O3',
      '-I',
      join(sources, 'cuda'),
      '-ptx',
      `-arch=${architecture(kernels)}`,
      kernels,
      '-o',
      ptx,
    ]);
    const outcome = await run([test, binary], { PULMOAV_CUDA_PTX: '1', EMU_PTX: ptx }, [name]);
    if (!outcome.isRight) return `the interpreter: ${reason(outcome.said)}`;
  }
  return undefined;
}

/** What a file's PTX is for, as `crates/ops/build.rs` has it. */
function architecture(kernels) {
  return kernels.endsWith('wgmma.cu') ? 'compute_90a' : 'compute_80';
}

/** Whether a file is the faulty one, or includes it, as headers do. */
function sees(kernels, file) {
  return kernels.endsWith(file) || file.endsWith('.cuh');
}

/** What follows an option. */
function option(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}
