import { checkStrings } from './check.js';
import { findModel } from './models.js';
import type { EncodedText, Understood } from './native/binding.js';
import { chooseDevice } from './native/device.js';
import { addon } from './native/load.js';
import { CALL_OPTIONS, checkOptions, type Kinds, PATH, TEXT } from './options.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

/** Options of {@link encodeText} and {@link understand}. */
export interface TextOptions extends CallOptions {
  /** Name or directory of the model whose text encoder is used. @default 'tiny' */
  model?: string | undefined;
  /** `auto`, `cpu` or `cuda[:N]`. @default 'auto' */
  device?: string | undefined;
}

export type { EncodedText, Understood };

const OPTIONS: Kinds<TextOptions> = { ...CALL_OPTIONS, model: PATH, device: TEXT };

/**
 * Token ids and embeddings of prompts.
 *
 * @throws PromptError, ModelError, DeviceError
 */
export async function encodeText(prompts: string[], options: TextOptions = {}): Promise<EncodedText> {
  checkOptions(options, OPTIONS);
  const model = modelFor(prompts, options);
  const { name } = await chooseDevice(options.device, options.signal);
  // What is known already comes at once.
  return await call(options, async () => addon().encodeText(model, prompts, name));
}

/**
 * What the model takes each prompt to mean.
 *
 * @throws ModelError, DeviceError
 */
export async function understand(prompts: string[], options: TextOptions = {}): Promise<Understood[]> {
  checkOptions(options, OPTIONS);
  const model = modelFor(prompts, options);
  const { name } = await chooseDevice(options.device, options.signal);
  return await call(options, () => addon().understand(model, prompts, name));
}

function modelFor(prompts: string[], { model }: TextOptions): string {
  checkStrings('prompts', prompts);
  return findModel(model);
}
