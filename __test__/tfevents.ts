/** Reads TensorBoard's event files from their specification alone, so that writing them is tested from outside. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Values by tag and step, as a reader sees them who drops what a restart makes void. */
export function readTensorBoard(folder: string): Map<string, Map<number, number>> {
  const scalars = new Map<string, Map<number, number>>();
  for (const name of readdirSync(folder).sort()) {
    for (const [index, content] of records(readFileSync(join(folder, name))).entries()) {
      const event = fieldsOf(content);
      if (index === 0 && String(event.get(3)?.[0]) !== 'brain.Event:2') throw new Error(`${name} names no version`);
      const step = Number(event.get(2)?.[0] ?? 0);
      const seconds = bytesOf(event, 1).readDoubleLE();
      if (Math.abs(seconds - Date.now() / 1000) > 3600) throw new Error(`${name} is of another time: ${seconds}`);
      const [session] = event.get(7) ?? [];
      if (session !== undefined && fieldsOf(session as Buffer).get(1)?.[0] === 1) purge(scalars, step);
      for (const value of (event.get(5) ?? []).flatMap((summary) => fieldsOf(summary as Buffer).get(1) ?? [])) {
        const fields = fieldsOf(value as Buffer);
        const tag = String(fields.get(1)?.[0]);
        const steps = scalars.get(tag) ?? new Map<number, number>();
        scalars.set(tag, steps.set(step, bytesOf(fields, 2).readFloatLE()));
      }
    }
  }
  return scalars;
}

function bytesOf(fields: Map<number, (number | Buffer)[]>, field: number): Buffer {
  const [bytes] = fields.get(field) ?? [];
  if (!(bytes instanceof Buffer)) throw new Error(`field ${field} holds no bytes`);
  return bytes;
}

function purge(scalars: Map<string, Map<number, number>>, from: number): void {
  for (const steps of scalars.values()) for (const step of steps.keys()) if (step >= from) steps.delete(step);
}

/** Records of a file; the last one may be torn. */
function records(file: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  while (at + 12 <= file.length) {
    const length = Number(file.readBigUInt64LE(at));
    check(file.subarray(at, at + 8), file.readUInt32LE(at + 8));
    if (at + 16 + length > file.length) break;
    const content = file.subarray(at + 12, at + 12 + length);
    check(content, file.readUInt32LE(at + 12 + length));
    found.push(content);
    at += 16 + length;
  }
  return found;
}

function check(content: Buffer, masked: number): void {
  const rotated = (masked - 0xa282ead8) >>> 0;
  const crc = ((rotated >>> 17) | (rotated << 15)) >>> 0;
  if (crc !== crc32c(content)) throw new Error('a checksum is wrong');
}

/** Division of polynomials, a bit at a time: 0x1EDC6F41, least significant bit first (RFC 3720, appendix B.4). */
export function crc32c(content: Uint8Array): number {
  let rest = 0xffffffffn;
  for (const byte of content) {
    for (let bit = 0n; bit < 8n; bit++) {
      const top = (rest ^ (BigInt(byte) >> bit)) & 1n;
      rest = (rest >> 1n) ^ (top * 0x82f63b78n);
    }
  }
  return Number(rest ^ 0xffffffffn);
}

/** A protobuf message's fields by number: numbers, or bytes. */
function fieldsOf(message: Buffer): Map<number, (number | Buffer)[]> {
  const fields = new Map<number, (number | Buffer)[]>();
  let at = 0;
  const varint = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < message.length) {
    const key = varint();
    const sizes: Record<number, () => number> = { 1: () => 8, 2: varint, 5: () => 4 };
    const size = sizes[key & 7]?.();
    const value = size === undefined ? varint() : message.subarray(at, at + size);
    at += size ?? 0;
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}
