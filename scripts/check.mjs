// The one command before a commit: format, lint, types, tests, docs, drift, layout.
import { spawnSync } from 'node:child_process';

const steps = [
  ['build', 'npm', ['run', '--silent', 'build']],
  ['format', 'npm', ['run', '--silent', 'format:check']],
  ['lint', 'npm', ['run', '--silent', 'lint']],
  ['types', 'npm', ['run', '--silent', 'types']],
  ['drift', 'npm', ['run', '--silent', 'drift']],
  ['rust tests', 'npm', ['run', '--silent', 'test:rust']],
  ['typescript tests', 'npm', ['run', '--silent', 'test:ts']],
  ['docs', 'npm', ['run', '--silent', 'docs']],
  ['package', 'npm', ['run', '--silent', 'package:check']],
];

const failed = [];
for (const [name, command, args] of steps) {
  process.stdout.write(`\n— ${name}\n`);
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) failed.push(name);
}
process.stdout.write(failed.length === 0 ? '\nEverything holds.\n' : `\nFailed: ${failed.join(', ')}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
