// Builds the pages of docs/site into docs/site/out, and the schemas of reports into docs/schema/reports. The builder's packages
// are installed when it is first run, without scripts; afterwards nothing is asked of the network. With --check no
// committed file is written: it fails where a schema differs. Status 75: the packages could not be had, as offline.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SKIPPED = 75;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const site = join(root, 'docs/site');
const out = join(site, 'out');
process.exitCode = await main();

async function main() {
  const problem = install();
  if (problem) return problem;
  if (!existsSync(join(root, 'dist/cli/program.js'))) return fail('dist is not built; run "npm run build" first');
  const stale = await writeSchemas(process.argv.includes('--check'));
  if (stale.length > 0) return fail(`${stale.join(', ')}: out of date; run "npm run docs:site" and commit it`);
  rmSync(out, { recursive: true, force: true });
  const builder = join(site, 'node_modules/@11ty/eleventy/cmd.cjs');
  const config = ['--config=docs/site/eleventy.config.js', '--quiet'];
  const { status } = spawnSync(process.execPath, [builder, ...config], { cwd: root, stdio: 'inherit' });
  if (status !== 0) return fail('the pages could not be built');
  const { deadLinks } = await fromSite('check-links.js');
  const dead = deadLinks(out);
  if (dead.length > 0) return fail(dead.join('\n'));
  process.stdout.write(`pages: ${join(out, 'index.html')}\n`);
  return 0;
}

/** Installs what builds the pages where it is not there, or not as the lock file says. */
function install() {
  const [lock, kept] = [join(site, 'package-lock.json'), join(site, 'node_modules/installed-lock.json')];
  const wanted = readFileSync(lock, 'utf8');
  if (existsSync(kept) && readFileSync(kept, 'utf8') === wanted) return 0;
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const { status, stderr } = spawnSync('npm', args, {
    cwd: site,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status === 0) writeFileSync(kept, wanted);
  else if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENOTCACHED/.test(stderr)) {
    process.stdout.write('skipped: the registry is not reached, and the packages are not in the cache\n');
    return SKIPPED;
  } else return fail(stderr);
  return 0;
}

/** Writes the schemas of reports, or says which differ. */
async function writeSchemas(isCheck) {
  const { reportSchemas } = await fromSite('reference/schemas.js');
  const stale = [];
  for (const [name, schema] of reportSchemas(root)) {
    const [file, text] = [join(root, 'docs/schema/reports', name), `${JSON.stringify(schema, null, 2)}\n`];
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
    if (isCheck) stale.push(name);
    else writeFileSync(file, text);
  }
  return stale;
}

function fromSite(file) {
  return import(pathToFileURL(join(site, file)));
}

function fail(problem) {
  process.stdout.write(`failed: ${problem}\n`);
  return 1;
}
