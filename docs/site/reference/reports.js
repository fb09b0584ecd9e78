import { reportSchemas } from './schemas.js';

/**
 * Fields of everything that the command line prints as JSON, as one page.
 *
 * @param {string} root the repository's folder
 */
export function reportsPage(root) {
  const sections = [...reportSchemas(root)].map(([file, schema]) => section(file, schema));
  return `# Reports

Each command takes \`--json\` and prints one object, also where it fails; \`--progress json\` prints one a line on standard
error. Fields keep their names and meanings while \`schemaVersion\` stays, and more may stand beside them. A config of
training has [a page of its own](../config.md).

${sections.join('\n')}`;
}

function section(file, schema) {
  const name = file.replace('.schema.json', '');
  const rows = fields(schema, '', schema.definitions ?? {}, []);
  const table = ['| field | type | what |', '|---|---|---|', ...rows.map((cells) => `| ${cells.join(' | ')} |`)];
  const what = schema.description ?? '';
  return `## ${name}\n\n${what} JSON Schema: [${file}](../schema/reports/${file}).\n\n${table.join('\n')}\n`;
}

/** A row a field, those of objects within it below it. */
function fields(node, path, definitions, seen) {
  const { schema, name } = resolved(node, definitions);
  if (name && seen.includes(name)) return [];
  const within = name ? [...seen, name] : seen;
  const choices = (schema.anyOf ?? schema.allOf ?? schema.oneOf ?? []).filter(
    (one) => resolved(one, definitions).schema.type !== 'null',
  );
  if (choices.length > 0) return unique(choices.flatMap((one) => fields(one, path, definitions, within)));
  if (schema.type === 'array' && schema.items && !Array.isArray(schema.items)) {
    return fields(schema.items, `${path}[]`, definitions, within);
  }
  const each = typeof schema.additionalProperties === 'object' ? [['*', schema.additionalProperties]] : [];
  return [...Object.entries(schema.properties ?? {}), ...each].flatMap(([key, child]) => {
    const own = path === '' ? key : `${path}.${key}`;
    const must = key === '*' || (schema.required ?? []).includes(key);
    const told = child.description ?? resolved(child, definitions).schema.description ?? '';
    const row = [`\`${own}\``, `${typeOf(child, definitions)}${must ? '' : ', may be missing'}`, cell(told)];
    return [row, ...fields(child, own, definitions, within)];
  });
}

/** Rows of the same field, once. */
function unique(rows) {
  const known = new Map(rows.toReversed().map((row) => [row[0], row]));
  return rows.filter((row) => known.get(row[0]) && known.delete(row[0]));
}

function resolved(node, definitions) {
  if (!node.$ref) return { schema: node };
  const name = decodeURIComponent(node.$ref.replace('#/definitions/', ''));
  return { schema: definitions[name] ?? {}, name };
}

function typeOf(node, definitions) {
  const { schema } = resolved(node, definitions);
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map((one) => typeOf(one, definitions)))].join(' or ');
  if (schema.type === 'array') {
    const count = schema.minItems !== undefined && schema.minItems === schema.maxItems ? ` of ${schema.minItems}` : '';
    const items = Array.isArray(schema.items) ? schema.items[0] : schema.items;
    return `list${count}: ${typeOf(items ?? {}, definitions)}`;
  }
  if (Array.isArray(schema.type)) return schema.type.join(' or ');
  return schema.type ?? (schema.allOf ? 'object' : 'anything');
}

function cell(text) {
  return text
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll('|', '\\|')
    .replace(/\{@link (\w+)\}/g, '`$1`');
}
