import { checkStrings } from './check.js';
import { findModel } from './models.js';
import { addon } from './native/load.js';
import { call } from './progress.js';
import type { CallOptions } from './types.js';

/** Options of {@link encodeText} and {@link understand}. */
export interface TextOptions extends CallOptions {
  /** Name or directory of the model whose text encoder is used. @default 'tiny' */
  model?: string | undefined;
}

/** Prompts as the network would be given them. */
export interface EncodedText {
  /** Token ids of each prompt, with start and end, no padding. */
  ids: number[][];
  /** Prompts × width, row after row. */
  embeddings: Float32Array;
  /** Numbers of one embedding. */
  width: number;
}

/** What a prompt was understood as. */
export interface Understood {
  /** The prompt as it was given. */
  text: string;
  /** Its token ids, with start and end. */
  ids: number[];
  /** Whether it was longer than 77 tokens and was cut. */
  truncated: boolean;
  /** The target's name, or `null` where the words mean nothing the model knows. */
  target: string | null;
  /** How sure that is, 0 to 1. */
  confidence: number;
}

/**
 * Token ids and embeddings of prompts.
 *
 * @throws PromptError, ModelError
 */
export async function encodeText(prompts: string[], options: TextOptions = {}): Promise<EncodedText> {
  const { value, arrays } = await text<{ ids: number[][]; width: number }>(prompts, options, true);
  return { ...value, embeddings: arrays[0] as Float32Array };
}

/**
 * What the model takes each prompt to mean.
 *
 * @throws ModelError
 */
export async function understand(prompts: string[], options: TextOptions = {}): Promise<Understood[]> {
  const { value } = await text<{ prompts: Understood[] }>(prompts, options, false);
  return value.prompts;
}

async function text<T>(prompts: string[], options: TextOptions, embeddings: boolean) {
  checkStrings('prompts', prompts);
  const model = findModel(options.model);
  return call<T>(options, () => (embeddings ? addon().encodeText(model, prompts) : addon().understand(model, prompts)));
}
