import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Application } from 'typedoc';

/**
 * A page for each name that the package exports, from its declarations.
 *
 * @param {string} root the repository's folder
 * @returns {Promise<[path: string, text: string][]>}
 * @throws where a comment links to what is not there
 */
export async function apiPages(root) {
  const made = mkdtempSync(join(tmpdir(), 'pulmoav-api-'));
  try {
    await write(root, made);
    const names = readdirSync(made, { recursive: true }).filter((name) => name.endsWith('.md'));
    return names.map((name) => {
      const path = `docs/reference/api/${name.replaceAll('\\', '/')}`;
      const text = readFileSync(join(made, name), 'utf8');
      return [path, name === 'index.md' ? text.replace(/^# .*/, '# API') : text];
    });
  } finally {
    rmSync(made, { recursive: true });
  }
}

async function write(root, out) {
  const application = await Application.bootstrapWithPlugins({
    name: 'pulmoav',
    entryPoints: [join(root, 'index.d.ts')],
    tsconfig: join(root, 'docs/site/tsconfig.json'),
    // The declarations were checked when they were made.
    skipErrorChecking: true,
    plugin: [import.meta.resolve('typedoc-plugin-markdown')],
    logLevel: 'Warn',
    readme: 'none',
    disableSources: true,
    entryFileName: 'index',
    hideBreadcrumbs: true,
    hidePageHeader: true,
    useCodeBlocks: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    classPropertiesFormat: 'table',
    typeDeclarationFormat: 'table',
    propertyMembersFormat: 'table',
    validation: { notExported: false, invalidLink: true },
    outputs: [{ name: 'markdown', path: out }],
  });
  const project = await application.convert();
  if (project) application.validate(project);
  if (project) await application.generateOutputs(project);
  const { errorCount, warningCount } = application.logger;
  if (errorCount + warningCount > 0) throw new Error('the API could not be described without warnings; see above');
}
