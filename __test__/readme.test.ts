import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { readVolume, writeVolume } from 'pulmoav';
import { chest, dataset, folder, root } from './fixture.js';

const snippets = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(
  (found) => found[1] ?? '',
);

/** Runs README code in a folder of its own, where `pulmoav` is this package. */
function run(directory: string, code: string): string {
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(root, join(directory, 'node_modules', 'pulmoav'), 'dir');
  const script = join(directory, 'script.ts');
  writeFileSync(script, code);
  const options = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--lib', 'es2023,esnext.disposable'];
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types'), '--skipLibCheck'];
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  try {
    execFileSync(process.execPath, [tsc, ...options, ...types, script], {
      cwd: directory,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  } catch (error) {
    throw new Error(`README code does not compile: ${(error as { stdout: string }).stdout}`);
  }
  return execFileSync(process.execPath, ['script.js'], {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

test('the README has two examples', (t) => {
  t.is(snippets.length, 2);
});

test('the README’s segmenting runs as it stands', async (t) => {
  const directory = folder();
  const { ct } = chest();
  await writeVolume(join(directory, 'chest.nii.gz'), ct);
  t.regex(run(directory, snippets[0] ?? ''), /name: 'artery'/);
  t.deepEqual((await readVolume(join(directory, 'labels.nii.gz'))).shape, ct.shape);
});

test('the README’s training runs on small data, for some seconds', async (t) => {
  const directory = folder();
  cpSync(await dataset(), join(directory, 'data'), { recursive: true });
  const label = 'data/labelsTr/one.nii.gz';
  cpSync(join(directory, label), join(directory, 'labels.nii.gz'));
  const code = (snippets[1] ?? '')
    .replace(/await phantom\(.*\);/, '[(void phantom, made)];')
    .replace(/maxSeconds: \d+/, "maxSeconds: 6, config: { textModel: 'tiny' }");
  const made = `const made = { image: 'data/imagesTr/one_0000.nii.gz', label: '${label}' };\n`;
  const said = run(directory, code.replace(/(from 'pulmoav';\n)/, `$1${made}`));
  t.regex(said, /run\/latest/);
  t.regex(said, /dice: /);
});
