import { z } from 'zod';
import { laCafTraining, tinyTraining, trainConfig } from './train.js';

/** JSON Schema of a training config's file, for editors and for who writes such files by program. */
export function trainSchema(): object {
  const schema = z.toJSONSchema(trainConfig, { target: 'draft-2020-12' });
  return { ...schema, title: 'A training config of pulmoav, complete' };
}

interface Node {
  description?: string;
  type?: string;
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  items?: Node;
  prefixItems?: Node[];
  properties?: Record<string, Node>;
  anyOf?: Node[];
  oneOf?: Node[];
}

/** Every field of a training config with its meaning, its type and both recipes' values, as a page. */
export function trainPage(): string {
  const rows = fields(trainSchema() as Node, '', [tinyTraining, laCafTraining]);
  const head = ['field', 'meaning', 'type', '`tiny`', '`la-caf`'];
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `# Config reference

Every field of a training config, generated from \`src/config\`. A file gives what differs from a recipe
(\`"recipe": "tiny"\` or \`"la-caf"\`, the first by default); arrays are given whole, unknown fields are refused. Editors take
the [JSON Schema](schema/train.schema.json) of a complete config. What the numbers do is said in [method.md](method.md).

${lines.join('\n')}
`;
}

function fields(node: Node, path: string, values: unknown[]): string[][] {
  const variants = (node.oneOf ?? node.anyOf ?? []).filter((one) => one.properties);
  if (variants.length > 0) {
    return [row(node, path, values), ...variants.flatMap((one) => variant(one, path, values, variants.length > 1))];
  }
  if (node.items?.properties ?? node.items?.oneOf) {
    return [row(node, path, values), ...fields(node.items as Node, `${path}[]`, [])];
  }
  if (!node.properties) return [row(node, path, values)];
  const own = path === '' ? [] : [row(node, path, [])];
  return [...own, ...below(node, path, values)];
}

/** One of several shapes of a field, told by the constant that each has of its own. */
function variant(node: Node, path: string, values: unknown[], isNamed: boolean): string[][] {
  const [name, constant] = Object.entries(node.properties ?? {}).find(([, child]) => child.const !== undefined) ?? [];
  const title = [
    `\`${path}\` with \`${name}: ${JSON.stringify(constant?.const)}\``,
    node.description ?? '',
    '',
    '',
    '',
  ];
  return [...(isNamed && name ? [title] : []), ...below(node, path, values)];
}

function below(node: Node, path: string, values: unknown[]): string[][] {
  const children = Object.entries(node.properties ?? {}).filter(([, child]) => child.const === undefined);
  return children.flatMap(([name, child]) =>
    fields(
      child,
      path === '' ? name : `${path}.${name}`,
      values.map((value) => at(value, name)),
    ),
  );
}

function row(node: Node, path: string, values: unknown[]): string[] {
  const shownValues = [0, 1].map((recipe) => shown(values[recipe]));
  return [`\`${path}\``, node.description ?? '', typeOf(node), ...shownValues].map((cell) =>
    cell.replaceAll('|', '\\|'),
  );
}

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function shown(value: unknown): string {
  if (value === undefined) return '';
  const text = JSON.stringify(value).replaceAll(',', ', ');
  return text.length > 60 ? 'see `src/config`' : `\`${text}\``;
}

function typeOf(node: Node): string {
  if (node.enum) return node.enum.map((one) => JSON.stringify(one)).join(', ');
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.prefixItems) return `${node.prefixItems.length} × ${typeOf(node.prefixItems[0] as Node)}`;
  if (node.items) return `list of ${typeOf(node.items)}`;
  const variants = node.oneOf ?? node.anyOf;
  if (variants) return [...new Set(variants.map(typeOf))].join(' or ');
  const low =
    node.exclusiveMinimum === undefined
      ? node.minimum === undefined
        ? ''
        : ` ≥ ${node.minimum}`
      : ` > ${node.exclusiveMinimum}`;
  const most = node.maximum !== undefined && node.maximum < Number.MAX_SAFE_INTEGER ? ` ≤ ${node.maximum}` : '';
  return node.type ? `${node.type}${low}${most}` : 'object';
}
