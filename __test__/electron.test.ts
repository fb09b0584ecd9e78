import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { writeVolume } from 'pulmoav';
import { folder, root, smallChest } from './fixture.js';

/** What the addon asks Node for, and what it asks for in its place; names of one length. */
const RENAMED = [
  ['napi_create_external_arraybuffer', 'cage_create_external_arraybuffer'],
  ['napi_create_external_buffer', 'cage_create_external_buffer'],
] as const;

/** Uses what answers with typed arrays, and prints one hash of all that came. */
const PROGRAM = `
  import { createHash } from 'node:crypto';
  import { anatomy, encodeText, findModel, readVolume, Segmenter } from 'pulmoav';
  const hash = createHash('sha256');
  const add = ({ buffer, byteOffset, byteLength }) => hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  const scan = await readVolume('scan.nii.gz');
  add(scan.data);
  add((await anatomy(scan)).labels.data);
  add((await encodeText(['artery'])).embeddings);
  const segmenter = await Segmenter.load({ model: findModel() });
  const { labels, probabilities } = await segmenter.segment(scan, { probabilities: true });
  segmenter.dispose();
  add(labels.data);
  add(probabilities);
  // Results stay usable after the addon's own memory has gone.
  for (let round = 0; round < 5; round++) { globalThis.gc(); await new Promise((done) => setTimeout(done, 10)); }
  add(labels.data);
  console.log(hash.digest('hex'), findModel());
`;

/** The package as an Electron app has it: in \`app.asar\`, with the unpacked part beside. */
function app(): string {
  const at = folder();
  const [packed, unpacked] = [join(at, 'app.asar'), join(at, 'app.asar.unpacked')];
  mkdirSync(join(packed, 'node_modules'), { recursive: true });
  const inside = join(packed, 'node_modules/pulmoav');
  cpSync(join(root, 'dist'), join(inside, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(inside, 'package.json'));
  cpSync(join(root, 'models/tiny'), join(unpacked, 'node_modules/pulmoav/models/tiny'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(at, 'node_modules'), 'dir');
  writeFileSync(join(packed, 'program.mjs'), PROGRAM);
  return at;
}

function run(at: string, environment: NodeJS.ProcessEnv): { stdout: string; stderr: string; status: number | null } {
  const program = [join('app.asar', 'program.mjs')];
  const env = { ...process.env, PULMOAV_ADDON: 'cpu', ...environment };
  return spawnSync(process.execPath, ['--expose-gc', ...program], { cwd: at, encoding: 'utf8', env });
}

test('where no memory may be shared with V8, and in an archive, answers are the same', async (t) => {
  const at = app();
  await writeVolume(join(at, 'scan.nii.gz'), smallChest().ct);
  const plain = run(at, {});
  t.is(plain.status, 0, plain.stderr);
  t.regex(plain.stdout, /^[0-9a-f]{64} .*app\.asar\.unpacked.*tiny/);
  if (process.platform !== 'linux') return t.log('skipped: libraries are loaded before Node on Linux alone');

  const shim = join(at, 'refuse_external.so');
  const source = join(root, '__test__/electron/refuse_external.rs');
  execFileSync('rustc', ['--edition=2024', '--crate-type=cdylib', '-o', shim, source], { stdio: 'pipe' });
  const native = join(at, 'app.asar/node_modules/pulmoav/dist/native');
  const [addon = ''] = readdirSync(native).filter((name) => name.endsWith('.node') && !name.includes('cuda'));
  let bytes = readFileSync(join(native, addon)).toString('latin1');
  for (const [name, other] of RENAMED) bytes = bytes.replaceAll(name, other);
  writeFileSync(join(native, addon), Buffer.from(bytes, 'latin1'));
  const caged = run(at, { LD_PRELOAD: shim });
  t.is(caged.status, 0, caged.stderr);
  t.is(caged.stdout, plain.stdout);
  const refused = caged.stderr.split('\n').filter((line) => line.startsWith('refused '));
  // Scan, anatomy, embeddings, labels, probabilities.
  t.is(refused.length, 5, caged.stderr);
});
