import { z } from 'zod';

const axes = (each: z.ZodNumber) => z.tuple([each, each, each]);
const positive = z.number().positive();
const count = z.number().int().positive();

const channel = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('window'),
      windowHu: z.tuple([z.number(), z.number()]).describe('HU that become 0 and 1; beyond them it is clipped.'),
    })
    .describe('HU in a window.'),
  z.strictObject({ kind: z.literal('side') }).describe('Signed distance from the plane between the lungs.'),
]);

const crop = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }).describe('The whole scan.'),
  z
    .strictObject({ kind: z.literal('foreground'), aboveHu: z.number().describe('What counts as foreground, HU.') })
    .describe('The box of what is not air.'),
  z
    .strictObject({
      kind: z.literal('lungs'),
      marginMm: z.number().min(0).describe('Margin around it, mm.'),
      bodyOnly: z
        .boolean()
        .optional()
        .describe('Whether what is outside the body (table, clothes, arms) is shown as air; without it: no.'),
    })
    .describe('The box of the lungs.'),
]);

const target = z.strictObject({
  name: z.string().min(1).describe('Its name, which is a prompt too.'),
  value: z.number().int().min(1).max(255).describe('Its value in label maps.'),
  prompt: z.string().min(1).describe('The words that the text encoder embeds.'),
  classes: z
    .array(z.enum(['artery', 'vein']))
    .min(1)
    .describe('What it is made of.'),
  side: z.enum(['left', 'right']).nullable().describe("The patient's side; `null`: both."),
});

const textWidth = count.describe('Width of the text embeddings.');

const laCaf = z
  .strictObject({
    preset: z.literal('la-caf'),
    widthDivisor: count.describe('The published widths are divided by it.'),
    variant: z.enum(['la-caf', 'gap']).describe('`la-caf`: cross-attention; `gap`: pooled features, the ablation.'),
    textWidth,
  })
  .describe('The published network.');

const pulmoav = z
  .strictObject({
    preset: z.literal('pulmoav'),
    stageChannels: z.array(count).min(2).describe('Channels of each stage, the finest first.'),
    stageBlocks: z.array(count).min(2).describe('Residual blocks of each stage.'),
    promptWidth: count.describe('Width of the prompt decoder.'),
    promptLayers: count.describe('Its layers.'),
    heads: count.describe('Its attention heads.'),
    supervisedScales: count.describe('Scales that the loss sees, from the finest.'),
    textWidth,
    auxiliary: z.array(z.enum(['airway'])).describe('Maps that are learnt beside the targets.'),
  })
  .describe('Our network: a residual encoder and a prompt decoder.');

/**
 * A plan as a config file gives it: everything about the network and its data but the prompts' embeddings, which the
 * text encoder adds when training starts.
 */
export const planConfig = z.strictObject({
  name: z.string().min(1).describe('Human name of the model.'),
  spacingMm: axes(positive).describe('Voxel size the network works at, mm, `[z, y, x]`.'),
  channels: z.array(channel).min(1).describe('Input channels, in order.'),
  patch: axes(count).describe('Training crop in voxels, `[z, y, x]`.'),
  crop: crop.describe('What part of the scan the network looks at.'),
  tiles: z
    .strictObject({
      tile: axes(count).describe('Voxels seen at once, `[z, y, x]`.'),
      overlap: z.number().min(0).max(0.9).describe('Share of a tile that its neighbour covers too.'),
      blend: z.enum(['logits', 'probabilities']).describe('What is averaged where tiles overlap.'),
      skipEmpty: z.boolean().describe('Tiles lie only where vessels are kept.'),
      mirror: z.boolean().describe('Every second tile is seen mirrored.'),
      fit: z.boolean().describe('Tiles get shorter where fewer voxels do.'),
    })
    .describe('Sliding-window settings of inference.'),
  walls: z
    .strictObject({
      hu: z.number().describe('A voxel above it becomes part of a vessel nearby.'),
      reachMm: z.number().min(0).max(10).describe('How near, mm.'),
    })
    .nullable()
    .describe('Boundary refinement: vessel walls in the lungs follow the scan. `null`: as the network saw them.'),
  postprocess: z
    .boolean()
    .optional()
    .describe(
      'Whether the lungs decide on sides, and specks, air and what touches no lung are cleared. Missing: with `pulmoav` only.',
    ),
  tidy: z
    .boolean()
    .optional()
    .describe(
      'Whether each branch gets one class, artery or vein. Missing: where labels are post-processed and voxels are at most 27 mm³.',
    ),
  targets: z.array(target).min(1).describe('What can be asked for.'),
  defaultTargets: z.array(z.string()).min(1).describe('Target names used when the user gives no prompt.'),
  network: z.discriminatedUnion('preset', [laCaf, pulmoav]).describe("The network's own numbers."),
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
export const tinyPlan: PlanConfig & { network: { preset: 'pulmoav' } } = {
  name: 'tiny',
  spacingMm: [1.25, 1.25, 1.25],
  channels: [{ kind: 'window', windowHu: [-1000, -400] }, { kind: 'window', windowHu: [-500, 400] }, { kind: 'side' }],
  patch: [64, 64, 64],
  crop: { kind: 'lungs', marginMm: 25, bodyOnly: true },
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
