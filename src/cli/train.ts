import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { TrainConfig } from '../config/train.js';
import type { Precision } from '../native/device.js';
import type { EndReason, TrainEvent } from '../train/events.js';
import { train } from '../train/folds.js';
import { deviceList, launch, ranksOfEnvironment } from '../train/ranks.js';
import { readTrainConfig } from '../train/run.js';
import { adviseOnInterruption, interruption } from './exit.js';
import { bytes, duration, integer } from './flags.js';
import { printJson, progressPrinter, readableBytes, say } from './output.js';

interface Flags {
  json?: boolean;
  out: string;
  config?: string;
  init?: string;
  fold?: number | 'all';
  resume?: boolean;
  maxTime?: number;
  device?: string;
  devices?: string;
  precision?: Precision;
  threads?: number;
  maxMemory?: number;
}

const STEPS_A_LINE = 50;

export function addTrain(program: Command): void {
  program
    .command('train')
    .description("train a model on a data set in nnU-Net's shape")
    .argument('<dataset>', 'folder with imagesTr, labelsTr and dataset.json')
    .requiredOption('-o, --out <run>', 'run directory; best and latest in it are models')
    .option('--config <file>', 'a recipe (tiny, la-caf) or a JSON file')
    .option('--init <model>', 'begin with the weights of this model, as far as they fit')
    .option('--fold <n|all>', 'fold to validate on; all: one model a fold, into fold-0, fold-1, …', foldOrAll)
    .option('--resume', 'go on with the run that the directory holds')
    .option('--max-time <duration>', 'stop, resumably, after 75m, 2h, …', duration('--max-time'))
    .option('--device <device>', 'auto, cpu or cuda[:N]', 'auto')
    .option('--devices <list>', 'several GPUs, a process each: cuda:0,cuda:1; env: as torchrun or srun started it')
    .option('--precision <type>', 'what the network computes in: f32, or tf32 or bf16 on a GPU')
    .option('--threads <n>', 'threads to compute with', integer('--threads', 1))
    .option('--max-memory <bytes>', 'most memory a step may take: 2G, 900M, …', bytes('--max-memory'))
    .action(async (dataset: string, { json, config, init, maxTime, maxMemory, devices, ...rest }: Flags) => {
      if (devices !== undefined && devices !== 'env') {
        process.exitCode = await launch(deviceList(devices), withoutDevices(process.argv.slice(2)));
        return;
      }
      const together = devices === 'env' ? ranksOfEnvironment() : undefined;
      const printer = progressPrinter();
      adviseOnInterruption('Go on with --resume.');
      const isNew = rest.fold !== 'all' && !existsSync(join(rest.out, 'run.json'));
      if (rest.resume && isNew) say(`${rest.out} holds no run: a new one begins`);
      const result = await train({
        dataset,
        ...rest,
        ...together,
        config: await configOf(config, init),
        maxSeconds: maxTime,
        maxMemoryBytes: maxMemory,
        signal: interruption,
        onProgress: printer.onProgress,
        onEvent: tell,
      }).finally(printer.done);
      if (together && together.ranks.rank > 0) return;
      if (json) return printJson(result);
      const how = `${ending[result.reason]} after ${result.step} steps`;
      say(`${how}: ${result.best ?? 'no model yet, go on with --resume'}`);
    });
}

/** The arguments of the command but for its list of devices. */
function withoutDevices(args: readonly string[]): string[] {
  return args.filter((arg, at) => arg !== '--devices' && args[at - 1] !== '--devices' && !arg.startsWith('--devices='));
}

const ending: Record<EndReason, string> = {
  finished: 'finished',
  converged: 'no better for long, ended',
  time: 'stopped',
  cancelled: 'stopped',
};

/** The config of a new run; `undefined` where neither flag says something, as for a run that is resumed. */
async function configOf(config: string | undefined, init: string | undefined): Promise<TrainConfig | undefined> {
  if (config === undefined && init === undefined) return undefined;
  const read = await readTrainConfig(config ?? 'tiny');
  return init === undefined ? read : { ...read, init };
}

function foldOrAll(text: string): number | 'all' {
  return text === 'all' ? text : integer('--fold', 0)(text);
}

function tell(event: TrainEvent): void {
  if (event.type === 'start') {
    const cases = `${event.trainingCases} training and ${event.validationCases} validation cases`;
    say(`fold ${event.fold}: ${event.parameters} parameters, ${cases}, on ${event.device}`);
    const how = event.recompute ? ', blocks are computed twice to keep to it' : '';
    say(`a step takes about ${readableBytes(event.predictedBytes)} of memory${how}`);
    const ceiling = Object.entries(event.ceiling).map(([name, dice]) => `${name} ${dice.toFixed(3)}`);
    say(`best Dice this plan's grid allows: ${ceiling.join(', ')}`);
  } else if (event.type === 'warning') {
    say(`warning: ${event.case ? `${event.case}: ` : ''}${event.message} [${event.code}]`);
  } else if (event.type === 'fitted') {
    say(`${event.secondsPerStep.toFixed(2)} s a step: ${event.steps} steps`);
  } else if (event.type === 'step' && event.step % STEPS_A_LINE === 0) {
    say(`step ${event.step}: loss ${event.loss?.toFixed(4) ?? 'not finite'}, ${event.seconds.toFixed(2)} s`);
  } else if (event.type === 'validation') {
    const dice = Object.entries(event.mean).map(([name, scores]) => `${name} ${scores.dice?.toFixed(3) ?? '–'}`);
    say(`validation after ${event.step} steps: ${dice.join(', ')}`);
  }
}
