// The one command before a commit: format, lint, types, tests, docs, drift, package. `--without-tests` leaves the tests
// out, for who has just run them.
import { spawnSync } from 'node:child_process';

/** Status of a step that could not be done here. */
const SKIPPED = 75;
/** Crates whose tests Miri runs in little time: plain Rust, and of `simd` the portable vectors, the only ones it has. */
const INTERPRETED = ['plan', 'task', 'random', 'simd', 'tree'].flatMap((crate) => ['-p', `pulmoav-${crate}`]);
const npm = (script) => ['npm', ['run', '--silent', script]];
const steps = [
  { name: 'build', run: npm('build') },
  { name: 'format', run: npm('format:check') },
  { name: 'lint', run: npm('lint'), needs: ['cargo', ['clippy', '--version']] },
  { name: 'types', run: npm('types') },
  { name: 'drift', run: npm('drift') },
  { name: 'rust tests', run: npm('test:rust'), isTest: true },
  {
    name: 'miri',
    run: ['cargo', ['+nightly', 'miri', 'test', '--locked', '--lib', ...INTERPRETED]],
    needs: ['cargo', ['+nightly', 'miri', '--version']],
    isTest: true,
  },
  { name: 'typescript tests', run: npm('test:ts'), isTest: true },
  { name: 'cuda tests', run: npm('test:cuda'), isTest: true },
  { name: 'docs', run: npm('docs:rust'), env: { RUSTDOCFLAGS: '-D warnings' } },
  { name: 'pages', run: ['node', ['scripts/docs-site.mjs', '--check']] },
  { name: 'package', run: npm('package:check') },
  { name: 'licences', run: ['node', ['scripts/licences.mjs', '--check']] },
  { name: 'package as users get it', run: ['node', ['scripts/package-test.mjs']] },
  { name: 'audit', run: ['node', ['scripts/audit.mjs']] },
  { name: 'crates', run: ['cargo', ['deny', 'check']], needs: ['cargo', ['deny', '--version']] },
  { name: 'spelling', run: ['typos', []], needs: ['typos', ['--version']] },
];

const failed = [];
const skipped = [];
for (const { name, run, needs, env, isTest } of steps) {
  if (isTest && process.argv.includes('--without-tests')) continue;
  process.stdout.write(`\n— ${name}\n`);
  if (needs && spawnSync(...needs, { stdio: 'ignore' }).status !== 0) {
    process.stdout.write(`skipped: "${needs.flat().join(' ')}" does not run here\n`);
    skipped.push(name);
    continue;
  }
  const [command, args] = run;
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  if (status === SKIPPED) skipped.push(name);
  else if (status !== 0) failed.push(name);
}
if (skipped.length > 0) process.stdout.write(`\nSkipped: ${skipped.join(', ')}\n`);
process.stdout.write(failed.length === 0 ? '\nEverything holds.\n' : `\nFailed: ${failed.join(', ')}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
