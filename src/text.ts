import { checkStrings } from './check.js';
import { findModel } from './models.js';
import type { EncodedText, Understood } from './native/binding.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

/** Options of {@link encodeText} and {@link understand}. */
export interface TextOptions extends CallOptions {
  /** Name or directory of the model whose text encoder is used. @default 'tiny' */
  model?: string | undefined;
}

export type { EncodedText, Understood };

/**
 * Token ids and embeddings of prompts.
 *
 * @throws PromptError, ModelError
 */
export async function encodeText(prompts: string[], options: TextOptions = {}): Promise<EncodedText> {
  const model = modelFor(prompts, options);
  // What is known already comes at once.
  return await call(options, async () => addon().encodeText(model, prompts));
}

/**
 * What the model takes each prompt to mean.
 *
 * @throws ModelError
 */
export async function understand(prompts: string[], options: TextOptions = {}): Promise<Understood[]> {
  const model = modelFor(prompts, options);
  return await call(options, () => addon().understand(model, prompts));
}

function modelFor(prompts: string[], { model }: TextOptions): string {
  checkStrings('prompts', prompts);
  return findModel(model);
}
