import { existsSync } from 'node:fs';
import type { TrainConfig } from '../config/train.js';
import { kindOf } from '../models/kind.js';
import { findModel } from '../models.js';
import { addon } from '../native/load.js';
import { call } from '../progress.js';
import type { CallOptions } from '../types.js';

/** `textModel` of a run that trains its own small text tower first. */
const OWN_TOWER = 'tower';

/** A plan with its prompts' embeddings, and where they came from. */
export interface CompletePlan {
  /** JSON. */
  plan: string;
  /** File of the text tensors that travel with the weights; `null` where CLIP, which stays where it is, made the embeddings. */
  text: string | null;
}

/**
 * The complete plan of a run: the config's plan with the prompts' embeddings. A small tower's tensors are written to
 * `file`, trained first where the config asks for a tower of its own, else taken from a model; a CLIP text model only
 * lends its words.
 *
 * @param device what a tower is trained on: `cpu` or `cuda:N`
 *
 * @throws ModelError, IoError
 */
export async function completePlan(
  config: TrainConfig,
  file: string,
  device: string,
  options: CallOptions,
): Promise<CompletePlan> {
  const complete = (text: string) => call(options, () => addon().completePlan(JSON.stringify(config.plan), text));
  if (existsSync(file)) return { plan: await complete(file), text: file };
  const source = config.textModel === OWN_TOWER ? (config.init ?? OWN_TOWER) : config.textModel;
  if (source === OWN_TOWER) {
    await call(options, (monitor) => addon().trainTower(JSON.stringify(config.tower), file, device, monitor));
  } else {
    const model = findModel(source);
    if (kindOf(model) === 'clip') return { plan: await complete(model), text: null };
    await call(options, () => addon().copyTextTower(model, file));
  }
  return { plan: await complete(file), text: file };
}
