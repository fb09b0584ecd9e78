// Runs the Rust tests and closes with one count of them all. A test whose files are not here prints a line
// `skipped: REASON` and returns: it counts as skipped, as one does that is marked `#[ignore]`.
import { spawn } from 'node:child_process';

const [ours, theirs] = splitAt(process.argv.slice(2), '--');
// The whole workspace, so that cargo resolves the addon's features and takes over what its build compiled: left out,
// pulmoav-node, which has no Rust tests, would take a feature of syn along, and with it every crate down to candle.
const args = ['test', '--locked', '--workspace', '--no-fail-fast', ...ours, '--', '--show-output', ...theirs];
const cargo = spawn('cargo', args, { stdio: ['ignore', 'pipe', 'inherit'] });
let [passed, failed] = [0, 0];
/** Tests that were skipped, with the reason; by the binary and the name, since names recur. */
const skipped = new Map();
/** Names of those that failed: their own output may lie far above the end. */
const failures = [];
/** The binary's number, the test whose output is being read, and whether that test passed. */
let [binary, test, isSuccess] = [0, '', false];
let rest = '';
cargo.stdout.setEncoding('utf8').on('data', (chunk) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop();
  for (const line of lines) if (!read(line)) process.stdout.write(`${line}\n`);
});
cargo.on('close', (status) => {
  process.stdout.write(`${rest}\n`);
  for (const [, { name, reason, isRun }] of skipped) {
    process.stdout.write(`skipped: ${name}: ${reason}\n`);
    if (isRun) passed -= 1;
  }
  for (const name of failures) process.stdout.write(`failed: ${name}\n`);
  process.stdout.write(`\nRust tests: ${passed} passed, ${failed} failed, ${skipped.size} skipped\n`);
  process.exitCode = status ?? 1;
});

/** Takes note of a line; true where it is output of a test that passed, which nobody wants to see. */
function read(line) {
  const counts = /^test result: \S+ (\d+) passed; (\d+) failed/.exec(line);
  const ignored = /^test (.*) \.\.\. ignored(?:, (.*))?$/.exec(line);
  if (line === 'successes:') isSuccess = true;
  if (line === 'failures:' || counts) isSuccess = false;
  if (counts) {
    passed += Number(counts[1]);
    failed += Number(counts[2]);
    binary += 1;
  }
  const failure = /^test (.*) \.\.\. FAILED$/.exec(line)?.[1];
  if (failure) failures.push(failure);
  if (ignored) skip(ignored[1], ignored[2] ?? 'ignored', false);
  if (!isSuccess) return false;
  test = /^---- (.*) stdout ----$/.exec(line)?.[1] ?? test;
  const reason = /^skipped: (.*)$/.exec(line)?.[1];
  if (reason) skip(test, reason, true);
  return true;
}

function skip(name, reason, isRun) {
  const key = `${binary} ${name}`;
  if (!skipped.has(key)) skipped.set(key, { name, reason, isRun });
}

function splitAt(list, mark) {
  const at = list.indexOf(mark);
  return at < 0 ? [list, []] : [list.slice(0, at), list.slice(at + 1)];
}
