import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../errors.js';
import { readJson } from '../files.js';

/** `pulmoav`: networks with their plan; `clip`: text models in Hugging Face's naming. */
export type ModelKind = 'pulmoav' | 'clip';

/** What a model directory holds, told by what describes it; `undefined` where that is of no use here. */
export function kindOf(path: string): ModelKind | undefined {
  const config = join(path, 'config.json');
  if (existsSync(join(path, 'plan.json')) || !existsSync(config)) return 'pulmoav';
  try {
    return isClip(JSON.parse(readFileSync(config, 'utf8'))) ? 'clip' : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Refuses a `config.json` that is of no CLIP text model.
 *
 * @throws FormatError, IoError
 */
export async function checkClipConfig(path: string, name: string): Promise<void> {
  const config = await readJson(path);
  if (isClip(config)) return;
  const type = hubConfig.safeParse(config).data?.model_type;
  const found = typeof type === 'string' ? `of the kind ${JSON.stringify(type)}` : 'of no kind';
  throw new FormatError('ERR_FORMAT', `"${name}" is no CLIP text model: its config.json says that it is ${found}.`, {
    hint: 'Text models are those of OpenAI and LAION, openai/clip-vit-base-patch32 for instance.',
  });
}

const hubConfig = z.object({ model_type: z.unknown(), text_config: z.unknown() }).partial();

function isClip(config: unknown): boolean {
  const { model_type, text_config } = hubConfig.safeParse(config).data ?? {};
  return model_type === 'clip' || model_type === 'clip_text_model' || (!model_type && text_config !== undefined);
}
