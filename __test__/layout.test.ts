import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** ARCHITECTURE.md's arrows: what each crate may use of ours. */
const arrows: Record<string, string[]> = {
  plan: [],
  simd: [],
  random: [],
  task: [],
  volume: ['task', 'simd'],
  testing: [],
  tree: ['task', 'volume'],
  anatomy: ['task', 'volume', 'simd'],
  surface: ['task', 'volume'],
  ops: ['simd'],
  'cuda-double': [],
  model: ['random', 'ops', 'plan'],
  checkpoint: ['plan', 'model'],
  text: ['random', 'ops', 'plan', 'model'],
  phantom: ['task', 'random', 'volume', 'tree'],
  segment: ['task', 'plan', 'simd', 'volume', 'anatomy', 'tree', 'ops', 'model', 'text'],
  evaluate: ['task', 'volume', 'tree'],
  train: ['task', 'random', 'plan', 'volume', 'anatomy', 'tree', 'ops', 'model', 'text', 'segment', 'evaluate'],
  node: [
    'task',
    'plan',
    'volume',
    'anatomy',
    'tree',
    'ops',
    'model',
    'checkpoint',
    'text',
    'phantom',
    'segment',
    'evaluate',
    'surface',
    'train',
  ],
};
const seesCandle = ['ops', 'model', 'checkpoint', 'text', 'segment', 'train'];

interface Metadata {
  packages: { name: string; dependencies: { name: string; kind: string | null }[] }[];
}

const metadata = JSON.parse(
  execFileSync('cargo', ['metadata', '--format-version', '1', '--no-deps'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  }),
) as Metadata;

test('crates use each other along the arrows only', (t) => {
  for (const { name, dependencies } of metadata.packages) {
    const crate = name.replace(/^pulmoav-/, '');
    const allowed = arrows[crate];
    t.truthy(allowed, `crate ${crate} has no row in the arrows`);
    const used = dependencies.filter(({ kind }) => kind === null).map((dependency) => dependency.name);
    for (const other of used.filter((use) => use.startsWith('pulmoav-')).map((use) => use.replace(/^pulmoav-/, ''))) {
      t.true(allowed?.includes(other), `${crate} must not use ${other}`);
    }
    if (used.some((use) => use.startsWith('candle')))
      t.true(seesCandle.includes(crate), `${crate} must not see candle`);
  }
});

test('tensors are read on the host in one place', (t) => {
  // What is read as a file's bytes, and an offline tool.
  const readers = ['model/src/weights/file.rs', 'text/src/renew.rs'];
  for (const crate of ['model', 'text', 'segment', 'train']) {
    for (const file of sources(join(root, 'crates', crate, 'src'), '.rs')) {
      const name = relative(join(root, 'crates'), file);
      if (readers.includes(name)) continue;
      const [code = ''] = readFileSync(file, 'utf8').split('#[cfg(test)]\nmod tests');
      t.notRegex(code, /\.to_vec[123]\b|\.to_scalar\b|storage_and_layout/, `${name}: see ops::device::to_host`);
    }
  }
});

/** Layers of src, lowest first; a file may import from lower layers and from its own pipeline. */
const foundation = [
  'config',
  'check',
  'options',
  'errors',
  'types',
  'native',
  'progress',
  'files',
  'spool',
  'record',
  'labels',
  'scores',
  'statistics',
  'models',
  'networks',
  'drawing',
  'dataset',
];
/** Pipelines that build on another one by their nature. */
const mayUse: Record<string, string[]> = {
  'segment-file': ['segment', 'volume'],
  batch: ['segment', 'segment-file'],
  segment: ['volume'],
  evaluate: ['volume'],
  anatomy: ['volume'],
};

test('TypeScript pipelines never import each other', (t) => {
  const src = join(root, 'src');
  for (const file of sources(src)) {
    const from = pipeline(relative(src, file));
    if (['cli', 'report', 'index'].includes(from)) continue;
    for (const target of imports(file)) {
      const to = pipeline(relative(src, join(dirname(file), target)));
      if (to === from || foundation.includes(to)) continue;
      t.true(mayUse[from]?.includes(to), `src/${relative(src, file)} must not import ${target}`);
    }
    if (foundation.includes(from)) {
      for (const target of imports(file)) {
        t.true(
          foundation.includes(pipeline(relative(src, join(dirname(file), target)))),
          `${relative(src, file)} looks up to ${target}`,
        );
      }
    }
  }
});

test('only src/native loads the addon', (t) => {
  const src = join(root, 'src');
  for (const file of sources(src).filter((path) => !relative(src, path).startsWith('native'))) {
    t.false(/createRequire|\.node['"]/.test(readFileSync(file, 'utf8')), relative(src, file));
  }
});

test('npm installs what is used, and nothing else', (t) => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const used = new Set(sources(join(root, 'src')).flatMap(packages));
  t.deepEqual([...used].sort(), Object.keys(dependencies).sort());
  const tools = ['package.json', 'tsconfig.json', 'biome.json'].map((name) => readFileSync(join(root, name), 'utf8'));
  const code = ['scripts', '__test__'].flatMap((name) =>
    readdirSync(join(root, name), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(root, name, entry.name), 'utf8')),
  );
  // What a tool is called by, where that is not its package's name; what another one needs beside it.
  const alias: Record<string, RegExp> = {
    '@biomejs/biome': /"biome /,
    '@napi-rs/cli': /"napi build/,
    '@niivue/niivue': /node_modules\/@niivue\/niivue/,
    '@types/node': /"types": \["node"\]/,
    '@typescript/typescript6': /from 'rollup-plugin-dts'/,
    publint: /"publint"/,
    typescript: /"tsc /,
    ava: /from 'ava'/,
  };
  for (const name of Object.keys(devDependencies)) {
    const use = alias[name] ?? new RegExp(`from '${name}'`);
    t.true(
      [...tools, ...code].some((text) => use.test(text)),
      `nothing uses ${name}`,
    );
  }
});

test('no JSON is taken for a type that nothing checks', (t) => {
  const src = join(root, 'src');
  for (const file of sources(src)) {
    const casts = readFileSync(file, 'utf8').match(/JSON\.parse\([^;]*\) as |as unknown as |readJson\([^;]*\)\)? as /g);
    t.is(casts, null, relative(src, file));
  }
});

test('paths that documents name exist', (t) => {
  const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...markdown('docs')];
  for (const document of documents) {
    const text = readFileSync(join(root, document), 'utf8');
    const named = [...text.matchAll(/`((?:src|crates|benches|docs|models|scripts|__test__)\/[\w./-]+)`/g)].map(
      (match) => match[1] ?? '',
    );
    for (const path of named) t.true(existsSync(join(root, path)), `${document} names ${path}, which does not exist`);
  }
});

function sources(directory: string, ending = '.ts'): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending) && !name.endsWith('.d.ts'))
    .map((name) => join(directory, name));
}

function markdown(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => join(directory, name));
}

function imports(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)].map((match) => match[1] ?? '');
}

/** Packages that a file imports, Node's own left out. */
function packages(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/from '([^.'][^']*)'/g)]
    .map((match) => match[1] ?? '')
    .filter((name) => !name.startsWith('node:'));
}

function pipeline(path: string): string {
  return (path.split(/[\\/]/)[0] ?? '').replace(/\.(ts|js)$/, '');
}
