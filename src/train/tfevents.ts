/**
 * TensorBoard's event files: records of TFRecord framing, each an `Event` of `tensorboard/compat/proto/event.proto`.
 *
 * Numbers of fields: `Event` wall_time 1, step 2, file_version 3, summary 5, session_log 7; `Summary` value 1, of which
 * tag 1 and simple_value 2; `SessionLog` status 1, of which START is 1.
 */

/** The first record of every file. */
export function versionRecord(seconds: number): Buffer {
  return record([...double(1, seconds), ...bytes(3, Buffer.from('brain.Event:2'))]);
}

/** Tells readers that what came before with this step or a later one does not count. */
export function restartRecord(seconds: number, step: number): Buffer {
  return record([...double(1, seconds), ...varint(2, step), ...bytes(7, Buffer.from(varint(1, 1)))]);
}

/** Values of one step by their tags. */
export function scalarsRecord(seconds: number, step: number, scalars: ReadonlyMap<string, number>): Buffer {
  const values = [...scalars].flatMap(([tag, value]) =>
    bytes(1, Buffer.from([...bytes(1, Buffer.from(tag)), ...float(2, value)])),
  );
  return record([...double(1, seconds), ...varint(2, step), ...bytes(5, Buffer.from(values))]);
}

const [VARINT, BITS_64, BYTES, BITS_32] = [0, 1, 2, 5];

function varint(field: number, value: number): number[] {
  return [...number(8 * field + VARINT), ...number(value)];
}

function bytes(field: number, content: Buffer): number[] {
  return [...number(8 * field + BYTES), ...number(content.length), ...content];
}

function double(field: number, value: number): number[] {
  const buffer = Buffer.alloc(8);
  buffer.writeDoubleLE(value);
  return [...number(8 * field + BITS_64), ...buffer];
}

function float(field: number, value: number): number[] {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return [...number(8 * field + BITS_32), ...buffer];
}

/** Seven bits a byte, the lowest first; all but the last have the upper bit set. */
function number(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...number(Math.floor(value / 128))];
}

/** Length, its checksum, content, its checksum. */
function record(content: number[]): Buffer {
  const framed = Buffer.alloc(content.length + 16);
  framed.writeBigUInt64LE(BigInt(content.length), 0);
  framed.writeUInt32LE(maskedCrc(framed.subarray(0, 8)), 8);
  framed.set(content, 12);
  framed.writeUInt32LE(maskedCrc(framed.subarray(12, 12 + content.length)), 12 + content.length);
  return framed;
}

/** CRC-32C, rotated and offset as TFRecord wants it: checksums of checksums would be weak. */
function maskedCrc(content: Uint8Array): number {
  const crc = crc32c(content);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Castagnoli's polynomial, bits reversed; zlib's own CRC-32 is another. */
const POLYNOMIAL = 0x82f63b78;
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

function crc32c(content: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of content) crc = (table[(crc ^ byte) & 255] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}
