import { existsSync } from 'node:fs';
import type { TrainConfig } from '../config/train.js';
import { findModel } from '../models.js';
import { addon } from '../native/load.js';
import { call } from '../progress.js';
import type { CallOptions } from '../types.js';

/** `textModel` of a run that trains its own small text tower first. */
const OWN_TOWER = 'tower';

/**
 * The complete plan of a run: the config's plan with the prompts' embeddings. The text tensors that made them
 * are written to `text`, trained first where the config asks for a tower of its own, else taken from a model.
 *
 * @throws ModelError, IoError
 */
export async function completePlan(config: TrainConfig, text: string, options: CallOptions): Promise<object> {
  if (!existsSync(text)) {
    await call(options, (monitor) =>
      config.textModel === OWN_TOWER
        ? addon().trainTower(JSON.stringify(config.tower), text, monitor)
        : addon().copyTextTower(findModel(config.textModel), text),
    );
  }
  const { value } = await call<object>(options, () => addon().completePlan(JSON.stringify(config.plan), text));
  return value;
}
