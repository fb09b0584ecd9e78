// Compiles src to dist, writes the configs' defaults as JSON for Rust's tests and their reference, and rolls index.d.ts
// up.
// With --check no committed file is written: it fails where a committed generated file differs.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const check = process.argv.includes('--check');
const require = createRequire(import.meta.url);

execFileSync(process.execPath, [join(dirname(require.resolve('typescript/package.json')), 'bin/tsc'), '-p', root], {
  stdio: 'inherit',
});
// The compiler copies no declarations; the public types refer to the addon's.
copyFileSync(join(root, 'src/native/binding.d.ts'), join(root, 'dist/native/binding.d.ts'));
// The viewer that pages of a scan hold; it is not installed with the package.
copyFileSync(
  join(root, 'node_modules/@niivue/niivue/dist/niivue.umd.js'),
  join(root, 'dist/report/scan/niivue.umd.js'),
);
chmodSync(join(root, 'dist/cli/main.js'), 0o755);
await generate('src/config/defaults.json', defaults);
await generate(
  'docs/schema/train.schema.json',
  async () => `${JSON.stringify((await reference()).trainSchema(), null, 2)}\n`,
);
await generate('docs/config.md', async () => (await reference()).trainPage());
await generate('index.d.ts', declarations);

async function generate(path, content) {
  const file = join(root, path);
  const text = await content();
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  if (check) throw new Error(`${path} is out of date: run "npm run build:ts" and commit it`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

async function defaults() {
  const { defaults } = await import(join(root, 'dist/config/defaults.js'));
  return `${JSON.stringify(defaults, null, 2)}\n`;
}

/** The module that describes the configs. */
function reference() {
  return import(join(root, 'dist/config/reference.js'));
}

async function declarations() {
  const bundle = await rollup({
    input: join(root, 'dist/index.d.ts'),
    plugins: [dts()],
    external: (id) => id.startsWith('node:') || id === 'zod',
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  const { output } = await bundle.generate({
    format: 'es',
    banner: '// The public API of pulmoav on one page. Generated from src/ by "npm run build:ts"; never edited.',
  });
  return output[0].code;
}
