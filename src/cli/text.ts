import type { Command } from 'commander';
import { chooseDevice } from '../native/device.js';
import { encodeText, type TextOptions, understand } from '../text.js';
import { interruption } from './exit.js';
import { printJson, printLine, sayWarnings } from './output.js';

interface Flags {
  json?: boolean;
  embeddings?: boolean;
  model?: string;
  device?: string;
}

export function addText(program: Command): void {
  program
    .command('text')
    .description('say what a prompt is taken to mean')
    .argument('<prompt...>', 'words to look for')
    .option('--embeddings', 'print the embeddings too (with --json)')
    .option('--model <name|dir>', 'model whose text encoder is used')
    .option('--device <device>', 'auto, cpu or cuda[:N]', 'auto')
    .action(async (texts: string[], flags: Flags) => {
      const options = { model: flags.model, device: flags.device, signal: interruption };
      const prompts = await understand(texts, options);
      sayWarnings((await chooseDevice(flags.device)).warnings);
      if (!flags.json) {
        for (const { text, target, confidence } of prompts) {
          printLine(`"${text}" → ${target ?? 'nothing this model knows'} (${(100 * confidence).toFixed(0)} %)`);
        }
        return;
      }
      printJson({ prompts, ...(flags.embeddings && { embeddings: await embeddingRows(texts, options) }) });
    });
}

async function embeddingRows(texts: string[], options: TextOptions): Promise<number[][]> {
  const { embeddings, width } = await encodeText(texts, options);
  return texts.map((_, row) => Array.from(embeddings.subarray(row * width, (row + 1) * width)));
}
