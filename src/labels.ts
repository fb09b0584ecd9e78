import { checkInteger } from './check.js';
import type { LabelSegment } from './native/binding.js';

/** Red, green, blue, 0 to 255. */
export type Rgb = [red: number, green: number, blue: number];

/** What a value of a label map is: its name and colour, and a code that other programs know. */
export interface LabelName {
  value: number;
  name: string;
  colour: Rgb;
  /** A term of SNOMED CT. */
  code?: { value: string; meaning: string; side?: [value: string, meaning: string] } | undefined;
}

/** Colours of the values 1 to 9 of our own models: arteries blue, veins red, as they are drawn in anatomy. */
export const COLOURS: readonly Rgb[] = [
  [70, 130, 255],
  [240, 70, 60],
  [40, 90, 220],
  [110, 180, 255],
  [205, 40, 50],
  [255, 140, 110],
  [190, 110, 230],
  [150, 80, 200],
  [220, 150, 250],
];

/** Terms of SNOMED CT by words in a name, the first that fits; codes as DICOM PS3.16 lists them. */
const TERMS: readonly { words: RegExp; value: string; meaning: string; colour: Rgb }[] = [
  { words: /arter/i, value: '81040000', meaning: 'Pulmonary artery', colour: [70, 130, 255] },
  { words: /vein|venous/i, value: '122972007', meaning: 'Pulmonary vein', colour: [240, 70, 60] },
  { words: /vessel/i, value: '59820001', meaning: 'Blood vessel', colour: [190, 110, 230] },
  { words: /airway|bronch|trachea/i, value: '89187006', meaning: 'Airway structure', colour: [150, 220, 150] },
  { words: /lung/i, value: '39607008', meaning: 'Lung structure', colour: [190, 175, 160] },
];
const SIDES = { left: ['7771000', 'Left'], right: ['24028007', 'Right'] } as const;
const OTHER: Rgb = [200, 200, 120];

/** Names, colours and codes of what was found. */
export function labelNames(found: readonly { value: number; name: string }[]): LabelName[] {
  return found.map(({ value, name }) => {
    const term = TERMS.find(({ words }) => words.test(name));
    const word = /\b(left|right)\b/i.exec(name)?.[1]?.toLowerCase() as keyof typeof SIDES | undefined;
    const side = word && ([...SIDES[word]] as [string, string]);
    const code = term && { value: term.value, meaning: term.meaning, ...(side ? { side } : {}) };
    return { value, name, colour: (term ? COLOURS[value - 1] : undefined) ?? term?.colour ?? OTHER, code };
  });
}

/** A label description file of ITK-SNAP. */
export function itkSnapTable(names: readonly LabelName[]): string {
  const rows = names.map(({ value, name, colour }) => `${[value, ...colour, 1, 1, 1].join('\t')}\t${quoted(name)}\n`);
  return `# ITK-SNAP label description file: index, red, green, blue, opacity, visibility, mesh visibility, label\n0\t0\t0\t0\t0\t0\t0\t"Clear Label"\n${rows.join('')}`;
}

/** A colour table of 3D Slicer (`.ctbl`). */
export function slicerTable(names: readonly LabelName[]): string {
  const rows = names.map(
    ({ value, name, colour }) => `${value} ${name.trim().replace(/\s+/g, '_')} ${colour.join(' ')} 255\n`,
  );
  return `# 3D Slicer colour table: number, name, red, green, blue, opacity\n0 background 0 0 0 0\n${rows.join('')}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', "'")}"`;
}

/**
 * Names as the addon takes them.
 *
 * @throws UsageError
 */
export function segmentsOf(labels: readonly LabelName[]): LabelSegment[] {
  return labels.map(({ value, name, colour, code }) => {
    checkInteger('labels: value', value, 1, 255);
    for (const level of colour) checkInteger('labels: colour', level, 0, 255);
    const [side = null, sideMeaning = null] = code?.side ?? [];
    return { value, name, colour, code: code?.value ?? null, meaning: code?.meaning ?? null, side, sideMeaning };
  });
}
