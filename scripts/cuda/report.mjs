// What the compiler made of each kernel, for each architecture: registers, shared memory, spills, warps that a
// multiprocessor holds by calculation, and instructions by kind; and the least time of a U-Net's kernels (roofline.mjs). Writes benches/record/cuda-kernels.json, and fails where
// a kernel spills registers or keeps arrays in local memory.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { inLanes, main, output, Refusal, root } from './command.mjs';
import { roofline, written } from './roofline.mjs';
import { operatorTests, run } from './tests.mjs';

const tools = join(root, 'target/cuda/tools');
/** Disassemblers read cubins of older compilers than themselves. */
const wheels = ['nvidia-cuda-cuobjdump==13.2.86', 'nvidia-cuda-nvdisasm==13.2.86'];

/** Per multiprocessor: warps, blocks, bytes of shared memory (CUDA C++ Programming Guide 13.0, compute capabilities). */
const limits = {
  80: { warps: 64, blocks: 32, sharedBytes: 164 << 10 },
  86: { warps: 48, blocks: 16, sharedBytes: 100 << 10 },
  89: { warps: 48, blocks: 24, sharedBytes: 100 << 10 },
  '90a': { warps: 64, blocks: 32, sharedBytes: 228 << 10 },
  100: { warps: 64, blocks: 32, sharedBytes: 228 << 10 },
  120: { warps: 48, blocks: 24, sharedBytes: 100 << 10 },
};
const REGISTERS = 65536;
/** Shared memory that the system takes of each block. */
const RESERVED_BYTES = 1024;

/** Opcodes by kind; the first that fits. */
const kinds = {
  tensor: /^(HMMA|IMMA|DMMA|HGMMA|UTC\w*MMA|QMMA)/,
  local: /^(LDL|STL)/,
  copy: /^(LDGSTS|UBLKCP|UTMA)/,
  global: /^(LDG|STG|ATOMG|ATOM|RED|LD|ST)(\.|$)/,
  shared: /^(LDS|STS|ATOMS|LDSM|STSM)/,
  constant: /^(LDC|ULDC|LDCU)/,
  float:
    /^(F(ADD|MUL|FMA|SETP|MNMX|SEL|SET|CHK|2F|2I|2FP|RND|SWZ)|MUFU|I2F|H(ADD|MUL|FMA|SETP|MNMX)|D(ADD|MUL|FMA|SETP))/,
  control: /^(BRA|BRX|EXIT|BSSY|BSYNC|RET|CALL|BAR|WARPSYNC|NOP|DEPBAR|LDGDEPBAR|YIELD|BREAK|BMOV|SYNCS)/,
  shuffle: /^(SHFL|VOTE|REDUX|R2UR)/,
};

await main(async () => {
  const { binaries, cubins } = operatorTests();
  const launches = await launched(binaries);
  const rows = cubins.flatMap((cubin) => measured(cubin, launches));
  rows.sort((a, b) => a.kernel.localeCompare(b.kernel) || a.sm.localeCompare(b.sm, undefined, { numeric: true }));
  const spilled = rows.filter(({ stackBytes, instructions }) => stackBytes > 0 || instructions.local > 0);
  const record = {
    about: 'scripts/cuda/report.mjs; nothing here was measured on a card',
    fields:
      'occupancy: warps that a multiprocessor holds, as a share; threads and dynamic bytes: the most of the tests',
    kernels: rows,
  };
  writeFileSync(join(root, 'benches/record/cuda-kernels.json'), written({ ...record, roofline: roofline() }));
  const low = rows.filter(({ occupancy }) => occupancy < 0.25);
  process.stdout.write(`${rows.length} rows of ${new Set(rows.map(({ kernel }) => kernel)).size} kernels\n`);
  for (const row of low)
    process.stdout.write(`below a quarter of the warps: ${row.kernel} sm_${row.sm} ${row.occupancy}\n`);
  if (spilled.length > 0) {
    throw new Refusal(`Registers are spilled: ${spilled.map(({ kernel, sm }) => `${kernel} sm_${sm}`).join(', ')}.`);
  }
});

/** Threads of a block and bytes of dynamic shared memory, the most that the tests launched each kernel with. */
async function launched(binaries) {
  const launches = new Map();
  const settings = { PULMOAV_CUDA_PTX: '1', EMU_TRACE: '1' };
  const runs = [...binaries].map((test) => [test, settings]);
  // Small convolutions do not get this kernel by themselves.
  runs.push([['card', binaries.get('card')], { ...settings, PULMOAV_CUDA_CONV: 'wgmma' }]);
  await inLanes(runs, async ([test, how]) => {
    const { isRight, said } = await run(test, how);
    if (!isRight) throw new Refusal(`The tests of ${test[0]} failed: npm run test:cuda says why.`);
    for (const [, kernel, block, bytes] of said.matchAll(/\] (\w+): grid \[.*?\], block \[(.*?)\], (\d+) bytes/g)) {
      const threads = block.split(',').reduce((product, size) => product * Number(size), 1);
      const before = launches.get(kernel) ?? { threads: 0, bytes: 0 };
      launches.set(kernel, {
        threads: Math.max(threads, before.threads),
        bytes: Math.max(Number(bytes), before.bytes),
      });
    }
  });
  return launches;
}

/** A row a kernel of a cubin. */
function measured(cubin, launches) {
  const [, file, sm] = /^(.*)\.sm_(\w+)\.cubin$/.exec(basename(cubin)) ?? [];
  const usage = output(tool('cuobjdump'), ['--dump-resource-usage', cubin], options());
  const code = output(tool('cuobjdump'), ['--dump-sass', cubin], options());
  const bodies = new Map(
    code
      .split(/^\s*Function : /m)
      .slice(1)
      .map((body) => [/^\S+/.exec(body)[0], body]),
  );
  const found = usage.matchAll(/Function (\S+):\s*\n\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)/g);
  return [...found].map(([, kernel, registers, stack, shared]) => {
    const { threads = 256, bytes = 0 } = launches.get(kernel) ?? {};
    const row = {
      kernel,
      file,
      sm,
      registers: Number(registers),
      stackBytes: Number(stack),
      sharedBytes: Number(shared),
    };
    const occupancy = occupied(limits[sm], row.registers, row.sharedBytes + bytes, threads);
    return { ...row, dynamicBytes: bytes, threads, occupancy, instructions: counted(bodies.get(kernel) ?? '') };
  });
}

/** Warps that run at once, as a share of the most: registers go in steps of 8 a thread, of 256 a warp. */
function occupied(limit, registers, sharedBytes, threads) {
  const warps = Math.ceil(threads / 32);
  const byRegisters = Math.floor(Math.floor(REGISTERS / (Math.ceil(registers / 8) * 256)) / warps);
  const byShared = Math.floor(limit.sharedBytes / (sharedBytes + RESERVED_BYTES));
  const blocks = Math.min(byRegisters, byShared, limit.blocks, Math.floor(limit.warps / warps));
  return Number(((blocks * warps) / limit.warps).toFixed(2));
}

/** Instructions by kind, as they stand in the code. */
function counted(body) {
  const counts = Object.fromEntries([...Object.keys(kinds), 'other'].map((kind) => [kind, 0]));
  for (const [, opcode] of body.matchAll(/\/\*[0-9a-f]{4,}\*\/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]+)/g)) {
    const kind = Object.keys(kinds).find((name) => kinds[name].test(opcode)) ?? 'other';
    counts[kind] += 1;
  }
  return counts;
}

function options() {
  return { env: { ...process.env, PATH: `${join(tools, 'nvidia/cu13/bin')}:${process.env.PATH}` } };
}

/** A disassembler, from NVIDIA's wheels. */
function tool(name) {
  const path = join(tools, 'nvidia/cu13/bin', name);
  if (existsSync(path)) return path;
  const packed = join(tools, 'wheels');
  mkdirSync(packed, { recursive: true });
  const download = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', '--dest', packed];
  output('python3', [...download, ...wheels], { cure: 'The report needs Python 3 with pip and a package index.' });
  for (const wheel of readdirSync(packed)) output('python3', ['-m', 'zipfile', '-e', join(packed, wheel), tools]);
  rmSync(packed, { recursive: true });
  output('chmod', ['-R', 'u+x', join(tools, 'nvidia/cu13/bin')]);
  return path;
}
