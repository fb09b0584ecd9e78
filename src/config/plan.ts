import { z } from 'zod';

const axes = (each: z.ZodNumber) => z.tuple([each, each, each]);
const positive = z.number().positive();
const count = z.number().int().positive();

const channel = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('window'), windowHu: z.tuple([z.number(), z.number()]) }),
  z.strictObject({ kind: z.literal('side') }),
]);

const crop = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('foreground'), aboveHu: z.number() }),
  z.strictObject({ kind: z.literal('lungs'), marginMm: z.number().min(0) }),
]);

const target = z.strictObject({
  name: z.string().min(1),
  value: z.number().int().min(1).max(255),
  prompt: z.string().min(1),
  classes: z.array(z.enum(['artery', 'vein'])).min(1),
  side: z.enum(['left', 'right']).nullable(),
});

const laCaf = z.strictObject({
  preset: z.literal('la-caf'),
  widthDivisor: count,
  variant: z.enum(['la-caf', 'gap']),
  textWidth: count,
});

const pulmoav = z.strictObject({
  preset: z.literal('pulmoav'),
  stageChannels: z.array(count).min(2),
  stageBlocks: z.array(count).min(2),
  promptWidth: count,
  promptLayers: count,
  heads: count,
  supervisedScales: count,
  textWidth: count,
  auxiliary: z.array(z.enum(['airway'])),
});

/**
 * A plan as a config file gives it: everything about the network and its data but the prompts' embeddings, which the
 * text encoder adds when training starts.
 */
export const planConfig = z.strictObject({
  /** Human name of the model. */
  name: z.string().min(1),
  /** Voxel size the network works at, mm, `[z, y, x]`. */
  spacingMm: axes(positive),
  /** Input channels, in order. */
  channels: z.array(channel).min(1),
  /** Training crop in voxels, `[z, y, x]`. */
  patch: axes(count),
  /** What part of the scan the network looks at. */
  crop,
  /** Sliding-window settings of inference. */
  tiles: z.strictObject({
    tile: axes(count),
    overlap: z.number().min(0).max(0.9),
    blend: z.enum(['logits', 'probabilities']),
    skipEmpty: z.boolean(),
    mirror: z.boolean(),
    fit: z.boolean(),
  }),
  /** Vessel walls in the lungs follow the scan; a voxel above `hu` and this near a vessel becomes part of it. `null`: as the network saw them. */
  walls: z.strictObject({ hu: z.number(), reachMm: z.number().min(0).max(10) }).nullable(),
  /** What can be asked for. */
  targets: z.array(target).min(1),
  /** Target names used when the user gives no prompt. */
  defaultTargets: z.array(z.string()).min(1),
  /** The network's own numbers. */
  network: z.discriminatedUnion('preset', [laCaf, pulmoav]),
});

/** A plan without embeddings. */
export type PlanConfig = z.infer<typeof planConfig>;

const template = (item: string) => `A computerized tomography of a ${item}`;

/** Targets of our own plans, with the label values that people script against. */
export const ourTargets: PlanConfig['targets'] = [
  { name: 'artery', value: 1, prompt: template('artery'), classes: ['artery'], side: null },
  { name: 'vein', value: 2, prompt: template('vein'), classes: ['vein'], side: null },
  { name: 'left artery', value: 3, prompt: template('left artery'), classes: ['artery'], side: 'left' },
  { name: 'right artery', value: 4, prompt: template('right artery'), classes: ['artery'], side: 'right' },
  { name: 'left vein', value: 5, prompt: template('left vein'), classes: ['vein'], side: 'left' },
  { name: 'right vein', value: 6, prompt: template('right vein'), classes: ['vein'], side: 'right' },
  { name: 'vessels', value: 7, prompt: template('vessel'), classes: ['artery', 'vein'], side: null },
  { name: 'left vessels', value: 8, prompt: template('left vessel'), classes: ['artery', 'vein'], side: 'left' },
  { name: 'right vessels', value: 9, prompt: template('right vessel'), classes: ['artery', 'vein'], side: 'right' },
];

/** The bundled model's plan. */
export const tinyPlan: PlanConfig = {
  name: 'tiny',
  spacingMm: [1.25, 1.25, 1.25],
  channels: [{ kind: 'window', windowHu: [-1000, -400] }, { kind: 'window', windowHu: [-500, 400] }, { kind: 'side' }],
  patch: [64, 64, 64],
  crop: { kind: 'lungs', marginMm: 25 },
  tiles: { tile: [96, 96, 96], overlap: 0.33, blend: 'probabilities', skipEmpty: true, mirror: true, fit: true },
  walls: { hu: -400, reachMm: 1.3 },
  targets: ourTargets,
  defaultTargets: ['artery', 'vein'],
  network: {
    preset: 'pulmoav',
    stageChannels: [16, 32, 64, 128],
    stageBlocks: [1, 1, 2, 1],
    promptWidth: 64,
    promptLayers: 2,
    heads: 4,
    supervisedScales: 2,
    textWidth: 64,
    auxiliary: ['airway'],
  },
};

/** The published method's plan (docs/method.md, Preparation: 1.5 mm, −700 to 300 HU, 96³, four prompts). */
export const laCafPlan: PlanConfig = {
  name: 'la-caf',
  spacingMm: [1.5, 1.5, 1.5],
  channels: [{ kind: 'window', windowHu: [-700, 300] }],
  patch: [96, 96, 96],
  crop: { kind: 'foreground', aboveHu: -700 },
  tiles: { tile: [96, 96, 96], overlap: 0.5, blend: 'logits', skipEmpty: false, mirror: false, fit: false },
  walls: null,
  targets: ourTargets.filter(({ side, classes }) => side !== null && classes.length === 1).sort(byPublishedOrder),
  defaultTargets: ['left artery', 'left vein', 'right artery', 'right vein'],
  network: { preset: 'la-caf', widthDivisor: 1, variant: 'la-caf', textWidth: 64 },
};

/** The published order: left artery, left vein, right artery, right vein. */
function byPublishedOrder(a: { name: string }, b: { name: string }): number {
  return a.name.localeCompare(b.name);
}
