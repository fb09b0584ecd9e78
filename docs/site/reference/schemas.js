import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGenerator } from 'ts-json-schema-generator';

/**
 * JSON Schemas of what the command line prints, by the name of their file in `docs/schema/reports`.
 *
 * @param {string} root the repository's folder
 * @returns {Map<string, object>}
 */
export function reportSchemas(root) {
  const path = join(root, 'docs/site/reference/printed.ts');
  const generator = createGenerator({
    path,
    tsconfig: join(root, 'docs/site/tsconfig.json'),
    skipTypeCheck: true,
    // More may stand beside what is described.
    additionalProperties: true,
    topRef: false,
  });
  const names = [...readFileSync(path, 'utf8').matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name]) => name);
  return new Map(names.map((name) => [fileOf(name), described(generator.createSchema(name))]));
}

/** `SegmentOutput` → `segment.schema.json`. */
function fileOf(name) {
  const words = name.replace(/Output$/, '').replace(/\B[A-Z]/g, (letter) => `-${letter}`);
  return `${words.toLowerCase()}.schema.json`;
}

function described(schema) {
  return { ...schema, $schema: 'http://json-schema.org/draft-07/schema#' };
}
