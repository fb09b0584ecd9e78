import type { Command } from 'commander';
import { findModel, listModels, verifyModel } from '../models.js';
import { interruption } from './exit.js';
import { printJson, say } from './output.js';

interface Flags {
  json?: boolean;
}

export function addModels(program: Command): void {
  program
    .command('models')
    .description('list, verify or locate models')
    .argument('<list|verify|path>', 'what to do')
    .argument('[name]', 'a model name or directory')
    .action(async (verb: string, name: string | undefined, flags: Flags, command: Command) => {
      const action = actions[verb];
      if (!action) command.error(`unknown action "${verb}"; expected list, verify or path`);
      else await action(name, flags);
    });
}

const actions: Record<string, (name: string | undefined, flags: Flags) => void | Promise<void>> = {
  list: (_name, { json }) => {
    const models = listModels();
    if (json) return printJson({ models });
    for (const model of models) say(model);
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
};
