import type { Command } from 'commander';
import { UsageError } from '../errors.js';
import { findModel, listModels, pullModel, removeModel, verifyModel } from '../models.js';
import { interruption } from './exit.js';
import { printJson, printLine, printModel, progressPrinter, readableBytes, say, sayWarnings } from './output.js';

interface Flags {
  json?: boolean;
  revision?: string;
  offline?: boolean;
}

export function addModels(program: Command): void {
  program
    .command('models')
    .description('list, pull, verify, locate or remove models; those of the Hugging Face hub lie in its cache')
    .argument('<list|pull|verify|path|rm>', 'what to do')
    .argument('[name]', 'owner/name on the hub, a bundled model, or for verify and path a directory')
    .option('--revision <revision>', 'pull this branch, tag, refs/pr/N or commit')
    .option('--offline', 'pull: take what the cache has, never use the network')
    .action(async (verb: string, name: string | undefined, flags: Flags) => {
      const action = actions[verb];
      if (!action) throw new UsageError(`Unknown action "${verb}"; expected list, pull, verify, path or rm.`);
      if (verb !== 'pull' && (flags.revision !== undefined || flags.offline)) {
        throw new UsageError(`--revision and --offline go with "models pull", not with "models ${verb}".`);
      }
      await action(name, flags);
    });
}

const actions: Record<string, (name: string | undefined, flags: Flags) => void | Promise<void>> = {
  list: (_name, { json }) => {
    const models = listModels();
    if (json) return printJson({ models });
    for (const { name, kind, source } of models) process.stdout.write(`${name}\t${kind}\t${source}\n`);
  },
  pull: async (name, { json, ...options }) => {
    const { onProgress, done } = progressPrinter();
    const pulled = await pullModel(given('pull', name), { ...options, onProgress, signal: interruption }).finally(done);
    if (json) return printJson(pulled);
    say(`${pulled.name} (${pulled.kind}), ${readableBytes(pulled.downloadedBytes)} downloaded: ${pulled.path}`);
    sayWarnings(pulled.warnings);
  },
  path: (name, { json }) => {
    const path = findModel(name);
    if (json) return printJson({ path });
    process.stdout.write(`${path}\n`);
  },
  verify: async (name, { json }) => {
    const { onProgress, done } = progressPrinter();
    const model = await verifyModel(name, { onProgress, signal: interruption }).finally(done);
    if (json) return printJson(model);
    for (const file of model.files ?? [])
      printLine(`${file.name}: ${file.hash ?? 'nothing says what its hash should be'}`);
    if (model.kind === 'clip') return printLine(`${model.name}: a CLIP text model, whole`);
    if (model.kind === 'classes') return printModel(model);
    printLine(`${model.name}: ${model.preset}, ${model.parameters} parameters, text encoder ${model.textEncoder}`);
    printLine(`knows: ${model.targets.map((target) => target.name).join(', ')}`);
  },
  rm: async (name, { json }) => {
    const removed = await removeModel(given('rm', name));
    if (json) return printJson(removed);
    say(`${removed.name}: ${readableBytes(removed.bytes)} removed`);
  },
};

function given(verb: string, name: string | undefined): string {
  if (name !== undefined) return name;
  throw new UsageError(`"models ${verb}" needs a name, such as openai/clip-vit-base-patch32.`);
}
