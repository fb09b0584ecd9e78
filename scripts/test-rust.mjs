// Runs the Rust tests and closes with one count of them all.
import { spawn } from 'node:child_process';

const cargo = spawn(
  'cargo',
  ['test', '--locked', '--workspace', '--exclude', 'pulmoav-node', '--no-fail-fast', ...process.argv.slice(2)],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
let passed = 0;
let failed = 0;
let rest = '';
cargo.stdout.setEncoding('utf8').on('data', (chunk) => {
  process.stdout.write(chunk);
  const lines = (rest + chunk).split('\n');
  rest = lines.pop();
  for (const line of lines) {
    const counts = /^test result: \S+ (\d+) passed; (\d+) failed/.exec(line);
    if (!counts) continue;
    passed += Number(counts[1]);
    failed += Number(counts[2]);
  }
});
cargo.on('close', (status) => {
  process.stdout.write(`\nRust tests: ${passed} passed, ${failed} failed\n`);
  process.exitCode = status ?? 1;
});
