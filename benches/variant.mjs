// A model with another plan and the same weights.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Copies the model at `path` into `folder` with `change(plan)` as its plan; the folder. */
export function variant(path, folder, change) {
  mkdirSync(folder, { recursive: true });
  const text = `${JSON.stringify(change(JSON.parse(readFileSync(join(path, 'plan.json'), 'utf8'))), null, 2)}\n`;
  const file = readFileSync(join(path, 'model.safetensors'));
  const end = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, end));
  header.__metadata__.plan = text;
  const bytes = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(Math.ceil(bytes.length / 8) * 8, ' ');
  bytes.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([length, padded, file.subarray(end)]));
  writeFileSync(join(folder, 'plan.json'), text);
  return folder;
}
