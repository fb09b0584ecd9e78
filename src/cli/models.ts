import type { Command } from 'commander';
import { UsageError } from '../errors.js';
import { findModel, listModels, verifyModel } from '../models.js';
import { interruption } from './exit.js';
import { printJson, say } from './output.js';

interface Flags {
  json?: boolean;
}

export function addModels(program: Command): void {
  program
    .command('models')
    .description('list, verify or locate models; pull and rm are not in this version, which has bundled models only')
    .argument('<list|verify|path|pull|rm>', 'what to do')
    .argument('[name]', 'a model name or directory')
    .action(async (verb: string, name: string | undefined, flags: Flags) => {
      const action = actions[verb];
      if (!action) throw new UsageError(`Unknown action "${verb}"; expected list, verify, path, pull or rm.`);
      await action(name, flags);
    });
}

const actions: Record<string, (name: string | undefined, flags: Flags) => void | Promise<void>> = {
  list: (_name, { json }) => {
    const models = listModels();
    if (json) return printJson({ models });
    for (const model of models) process.stdout.write(`${model}\n`);
  },
  path: (name, { json }) => {
    const path = findModel(name);
    if (json) return printJson({ path });
    process.stdout.write(`${path}\n`);
  },
  verify: async (name, { json }) => {
    const model = await verifyModel(name, { signal: interruption });
    if (json) return printJson(model);
    say(`${model.name}: ${model.preset}, ${model.parameters} parameters, text encoder ${model.textEncoder}`);
    say(`knows: ${model.targets.map((target) => target.name).join(', ')}`);
  },
  pull: () => notYet('pull', 'Give a model directory with --model DIR.'),
  rm: () => notYet('rm', 'A model is a directory: delete it.'),
};

function notYet(verb: string, hint: string): never {
  throw new UsageError(`"models ${verb}" is not in this version: it has bundled models only.`, { hint });
}
