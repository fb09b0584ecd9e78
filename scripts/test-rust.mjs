// Runs the Rust tests and closes with one count of them all.
import { spawn } from 'node:child_process';

// The whole workspace, so that cargo resolves the addon's features and takes over what its build compiled: left out,
// pulmoav-node, which has no Rust tests, would take a feature of syn along, and with it every crate down to candle.
const cargo = spawn('cargo', ['test', '--locked', '--workspace', '--no-fail-fast', ...process.argv.slice(2)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
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
