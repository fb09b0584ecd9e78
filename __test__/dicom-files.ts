import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Volume } from 'pulmoav';

/** What a series says of itself. */
export interface SeriesWords {
  uid: string;
  number?: number;
  description?: string;
  modality?: string;
}

/** Writes a volume in HU as a series of DICOM, a file a slice in explicit little endian; its axes must be straight. */
export function writeSeries(folder: string, { data, shape, spacingMm, affine }: Volume, words: SeriesWords): void {
  mkdirSync(folder, { recursive: true });
  const [slices, rows, columns] = shape;
  const at = (row: number, column: number) => affine[4 * row + column] ?? 0;
  const [left, posterior] = [-Math.sign(at(0, 0)), -Math.sign(at(1, 1))];
  const { uid, number = 1, description = 'Chest', modality = 'CT' } = words;
  for (let slice = 0; slice < slices; slice++) {
    const place = [-at(0, 3), -at(1, 3), at(2, 3) + slice * at(2, 2)];
    const plane = data.slice(slice * rows * columns, (slice + 1) * rows * columns);
    const pixels = Int16Array.from(plane as Int16Array, (hu) => hu + 1024);
    const parts = [
      Buffer.alloc(128),
      Buffer.from('DICM'),
      text(0x0002, 0x0010, 'UI', '1.2.840.10008.1.2.1'),
      text(0x0008, 0x0008, 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'),
      text(0x0008, 0x0016, 'UI', '1.2.840.10008.5.1.4.1.1.2'),
      text(0x0008, 0x0018, 'UI', `${uid}.${slice + 1}`),
      text(0x0008, 0x0060, 'CS', modality),
      text(0x0008, 0x103e, 'LO', description),
      text(0x0010, 0x0010, 'PN', 'Phantom^Test'),
      text(0x0010, 0x0020, 'LO', 'P1'),
      text(0x0020, 0x000d, 'UI', '1.2.3'),
      text(0x0020, 0x000e, 'UI', uid),
      text(0x0020, 0x0011, 'IS', String(number)),
      text(0x0020, 0x0032, 'DS', place.join('\\')),
      text(0x0020, 0x0037, 'DS', [left, 0, 0, 0, posterior, 0].join('\\')),
      text(0x0020, 0x0052, 'UI', '1.2.3.9'),
      short(0x0028, 0x0010, rows),
      short(0x0028, 0x0011, columns),
      text(0x0028, 0x0030, 'DS', `${spacingMm[1]}\\${spacingMm[2]}`),
      ...[0x0100, 0x0101].map((element) => short(0x0028, element, 16)),
      short(0x0028, 0x0103, 1),
      text(0x0028, 0x1052, 'DS', '-1024'),
      text(0x0028, 0x1053, 'DS', '1'),
      head(0x7fe0, 0x0010, 'OW', pixels.byteLength),
      Buffer.from(pixels.buffer),
    ];
    // Names that tell nothing of the order.
    writeFileSync(join(folder, `${(slice * 7919) % 9973}.dcm`), Buffer.concat(parts));
  }
}

function head(group: number, element: number, vr: string, length: number): Buffer {
  const bytes = Buffer.alloc(vr === 'OW' ? 12 : 8);
  bytes.writeUInt16LE(group, 0);
  bytes.writeUInt16LE(element, 2);
  bytes.write(vr, 4);
  if (vr === 'OW') bytes.writeUInt32LE(length, 8);
  else bytes.writeUInt16LE(length, 6);
  return bytes;
}

function text(group: number, element: number, vr: string, words: string): Buffer {
  const padded = words.length % 2 === 0 ? words : `${words} `;
  return Buffer.concat([head(group, element, vr, padded.length), Buffer.from(padded)]);
}

function short(group: number, element: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return Buffer.concat([head(group, element, 'US', 2), bytes]);
}
