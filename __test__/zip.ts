import { crc32 } from 'node:zlib';

/** An archive of files that are stored as they are. */
export function zip(files: Map<string, Uint8Array>): Buffer {
  const parts: Buffer[] = [];
  const listed: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const facts = common(bytes, Buffer.byteLength(name));
    const part = Buffer.concat([signature(0x04034b50), facts, Buffer.from(name), bytes]);
    const [made, rest] = [Buffer.from([20, 0]), Buffer.alloc(14)];
    rest.writeUInt32LE(offset, 10);
    listed.push(Buffer.concat([signature(0x02014b50), made, facts, rest, Buffer.from(name)]));
    parts.push(part);
    offset += part.length;
  }
  const list = Buffer.concat(listed);
  const end = Buffer.alloc(18);
  for (const at of [4, 6]) end.writeUInt16LE(files.size, at);
  end.writeUInt32LE(list.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, list, signature(0x06054b50), end]);
}

/** What a file's own head and the list say of it alike. */
function common(bytes: Uint8Array, nameLength: number): Buffer {
  const facts = Buffer.alloc(26);
  facts.writeUInt16LE(20, 0);
  facts.writeUInt32LE(crc32(bytes), 10);
  for (const at of [14, 18]) facts.writeUInt32LE(bytes.length, at);
  facts.writeUInt16LE(nameLength, 22);
  return facts;
}

function signature(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
