import { z } from 'zod';
import { laCafPlan, planConfig, tinyPlan } from './plan.js';

const count = z.number().int().positive();
const share = z.number().min(0).max(1);
const chance = z.number().min(0).max(1).describe('How often it is applied, 0 to 1.');
const range = z.tuple([z.number(), z.number()]);
const weight = z.number().min(0);
const angle = z.number().min(0).max(45);

const rise = {
  learningRate: z.number().positive().describe('Peak learning rate.'),
  warmupSteps: z.number().int().min(0).describe('Steps of linear warm-up.'),
};

/** Learning rate by step: linear warm-up, then down by a cosine or a power. */
const schedule = z
  .discriminatedUnion('kind', [
    z
      .strictObject({
        kind: z.literal('cosine'),
        ...rise,
        finalShare: share.describe('Share of the peak that is left at the last step.'),
      })
      .describe('A cosine down to a share of the peak.'),
    z
      .strictObject({
        kind: z.literal('poly'),
        ...rise,
        exponent: z.number().positive().describe('Power of the share of steps that is left; published: 0.9.'),
      })
      .describe('A power of the share of steps that is left.'),
  ])
  .describe('Learning rate by step: linear warm-up, then down.');

const augment = z
  .strictObject({
    flip: z.strictObject({ probability: chance }).describe('Left and right exchanged, the sides of the labels too.'),
    rotate: z.strictObject({ probability: chance }).describe('Quarter turns in the axial plane.'),
    turn: z
      .strictObject({
        probability: chance,
        degrees: z.tuple([angle, angle, angle]).describe('Largest angle about the axes z, y and x, degrees, up to 45.'),
      })
      .describe('Rotation by any angle.'),
    scale: z
      .strictObject({ probability: chance, factor: range.describe('Range of the factor, within 0.5 to 2.') })
      .describe('Magnification, the same along all axes.'),
    elastic: z
      .strictObject({
        probability: chance,
        amountMm: weight.describe(
          "Largest shift along an axis, mm; at most 0.403 of the grid's distance, so that nothing folds.",
        ),
        gridMm: z.number().positive().describe("Distance of the grid's points, mm."),
      })
      .describe('Elastic deformation: B-splines through random shifts of a coarse grid.'),
    gamma: z
      .strictObject({ probability: chance, exponent: range.describe('Range of the exponent.') })
      .describe('HU from −1000 to 600 on a scale from 0 to 1, raised to a power.'),
    invertedGamma: z
      .strictObject({ probability: chance, exponent: range.describe('Range of the exponent.') })
      .describe('The same from the bright end: 1 minus the power of 1 minus the value.'),
    contrast: z
      .strictObject({ probability: chance, factor: range.describe('Range of the factor.') })
      .describe('HU spread about their mean.'),
    shift: z
      .strictObject({ probability: chance, amountHu: weight.describe('Largest shift, HU.') })
      .describe('One value added to all HU.'),
    blur: z
      .strictObject({ probability: chance, sigmaVoxels: range.describe('Range of the deviation, voxels.') })
      .describe('A Gaussian filter, as a soft kernel blurs.'),
    noise: z
      .strictObject({
        probability: chance,
        sdHu: range.describe('Range of the deviation, HU.'),
        sigmaVoxels: range.describe('Range of its correlation length, voxels.'),
      })
      .describe('Noise with the grain of a reconstruction.'),
    slices: z
      .strictObject({ probability: chance, thicknessMm: range.describe('Range of the thickness, mm.') })
      .describe('Thick slices, interpolated back.'),
    lowResolution: z
      .strictObject({ probability: chance, voxelMm: range.describe('Range of the voxel edge, mm.') })
      .describe('Larger voxels in every direction, interpolated back; the labels stay.'),
    coarse: z
      .strictObject({ probability: chance, voxelMm: range.describe('Range of the voxel edge, mm.') })
      .describe('Coarse voxels in every direction; the labels become coarse too.'),
  })
  .describe('Augmentations of a patch, in the order in which they are applied.');

const update = {
  clipNorm: weight.describe('Largest global gradient norm; 0 turns clipping off.'),
  meanDecay: share.describe(
    'Decay of the moving average (EMA) of the weights, which is what gets exported and scored.',
  ),
};

const optimizer = z
  .discriminatedUnion('kind', [
    z
      .strictObject({
        kind: z.literal('adamw'),
        beta1: share.describe('Decay of the mean of the gradients.'),
        beta2: share.describe('Decay of the mean of their squares.'),
        epsilon: z.number().positive().describe('Keeps the division finite.'),
        weightDecay: weight.describe('Decoupled weight decay.'),
        ...update,
      })
      .describe('AdamW.'),
    z
      .strictObject({
        kind: z.literal('sgd'),
        momentum: z.number().min(0).lt(1).describe('Nesterov momentum.'),
        weightDecay: weight.describe('Weight decay, added to the gradient.'),
        ...update,
      })
      .describe('Stochastic gradient descent with Nesterov momentum.'),
  ])
  .describe('How the weights follow the gradients.');

/** What a native step needs, complete; it refuses unknown fields. */
const step = z
  .strictObject({
    seed: z.number().int().min(0).describe('Seed of everything random in the run.'),
    batch: count.describe('Patches a batch.'),
    accumulate: count.max(1024).describe('Batches a step: their gradients are averaged into one update.'),
    sampling: z
      .strictObject({
        artery: weight.describe('Odds of a patch about an artery voxel.'),
        vein: weight.describe('Odds of a patch about a vein voxel.'),
        anywhere: weight.describe('Odds of a patch anywhere.'),
        unannotated: weight.describe('Odds of a patch about what nobody annotated, where a teacher labels it.'),
        jitter: z
          .number()
          .min(0)
          .max(0.5)
          .describe('How far that voxel may be from the centre, as a share of the patch.'),
      })
      .describe('Where patches are cut.'),
    augment,
    unannotated: z
      .enum(['ignore', 'background', 'teacher'])
      .describe(
        'What voxels that nobody annotated are: `ignore`: they carry no loss; `teacher`: the moving average of the ' +
          'weights labels them; `background`: as in published code, discouraged, since it teaches that vessels are none.',
      ),
    loss: z
      .strictObject({
        dice: weight.describe('Weight of the soft Dice loss.'),
        bce: weight.describe('Weight of the binary cross-entropy.'),
        skeletonRecall: weight.describe('Weight of skeleton recall.'),
        softClDice: weight.describe('Weight of soft clDice.'),
        smooth: z.number().positive().describe('Added to both sides of the Dice quotient.'),
        batchDice: z.boolean().describe('One Dice over the whole batch instead of the mean over its patches.'),
        scaleWeights: z.array(weight).min(1).describe('A weight a supervised scale, the finest first.'),
        mapWeights: z
          .strictObject({
            class: weight.describe('Targets of one class.'),
            sided: weight.describe('Targets of one class and side.'),
            union: weight.describe('Targets of several classes.'),
            auxiliary: weight.describe('Auxiliary maps.'),
          })
          .describe('Weights in the mean over the maps.'),
      })
      .describe('The loss: its parts, scales and maps.'),
    optimizer,
    frozen: z
      .array(z.string().min(1))
      .describe('Beginnings of the names of parameters that stay as they are, such as `encoder.`.'),
  })
  .describe('What one step does.');

const momentum = z.number().min(0).lt(1);

/** The policies by which a run adapts itself, each a switch; `src/train/adapt.ts` says what they do. */
const adapt = z
  .strictObject({
    teacher: z
      .strictObject({
        weight: share.describe('Weight of what is learnt from the teacher once it is ramped up; the reference has 1.'),
        rampShare: share.describe('Share of the steps over which that weight is ramped up.'),
        momentum: momentum.describe("Momentum of the teacher's running confidence, which its thresholds follow."),
        trust: z
          .tuple([share, share])
          .refine(([from, full]) => from < full, 'expected the first to be the smaller')
          .describe('Dice of the class it knows worst from which on a teacher is believed, and at which wholly.'),
      })
      .describe('The teacher of `step.unannotated`.'),
    uncertainty: z
      .strictObject({
        enabled: z.boolean().describe('Whether the losses count by their learnt uncertainty.'),
        rate: z.number().positive().describe('Learning rate of the logarithms of their variances.'),
      })
      .describe('Loss weights by learnt uncertainty.'),
    sampling: z
      .strictObject({
        enabled: z.boolean().describe('Whether cases and calibres with a larger loss are drawn more often.'),
        gamma: weight.describe('Power of the running loss.'),
        floor: z.number().gt(0).max(1).describe('Least factor, so that none starves.'),
        momentum: momentum.describe('Momentum of the running losses.'),
      })
      .describe('Sampling by running loss.'),
  })
  .describe('Policies by which a run adapts itself.');

const tower = z
  .strictObject({
    seed: z.number().int().min(0).describe('Seed of its weights and phrases.'),
    width: count.describe('Channels and width of the embeddings, a multiple of 16.'),
    layers: count.describe('Transformer layers.'),
    steps: count.describe('Updates.'),
    batch: count.describe('Phrases an update.'),
    learningRate: z.number().positive().describe('Peak learning rate.'),
    smoothing: z.number().min(0).max(0.5).describe('Share of the answer spread over the other classes.'),
    optimizer,
  })
  .describe("Training of a small text tower of the run's own.");

/** A whole training run. */
export const trainConfig = z.strictObject({
  plan: planConfig.describe('The network and its data.'),
  textModel: z
    .string()
    .min(1)
    .describe(
      "Where prompts' embeddings come from: `tower` trains a small text tower first; else the model whose tower is taken over.",
    ),
  tower,
  init: z
    .string()
    .min(1)
    .nullable()
    .describe(
      'Model whose weights a new run begins with, as far as they fit; its text tower is taken over where `textModel` is `tower`.',
    ),
  steps: z
    .union([count, z.string().regex(/^fit:\d+(\.\d+)?[smh]$/, 'expected a number of steps, or fit:75m')])
    .describe('Length of the run: steps, or a wall time such as `fit:75m` that is measured once into steps.'),
  fold: z.number().int().min(0).describe('Which fold of the data set is validated on.'),
  schedule,
  step,
  adapt,
  validateEvery: z.number().int().min(0).describe('Steps between validations; 0 validates at the end only.'),
  earlyStop: z
    .strictObject({
      validations: count
        .nullable()
        .describe('So many validations in a row without a new best Dice end the run; `null`: never.'),
    })
    .describe('Ending a run that does not get better.'),
  validateCases: count.describe('Validation cases scored each time, the first ones by name.'),
  checkpointSeconds: z.number().positive().describe('Seconds between checkpoints.'),
});

/** A whole training run, as its config file gives it. */
export type TrainConfig = z.infer<typeof trainConfig>;

/** Any part of `T`; arrays and tuples are given whole. */
type Part<T> = T extends readonly unknown[] ? T : T extends object ? { [Key in keyof T]?: Part<T[Key]> } : T;

/** What differs from a recipe. */
export type TrainSettings = Part<TrainConfig> & {
  /** The recipe that gives all other fields. @default 'tiny' */
  recipe?: 'tiny' | 'la-caf';
};

const tinyTower: TrainConfig['tower'] = {
  seed: 1,
  width: 64,
  layers: 2,
  steps: 1500,
  batch: 192,
  learningRate: 3e-3,
  smoothing: 0.02,
  optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 1, meanDecay: 0 },
};

const noPolicies: TrainConfig['adapt'] = {
  teacher: { weight: 1, rampShare: 1 / 3, momentum: 0.99, trust: [0.7, 0.9] },
  uncertainty: { enabled: false, rate: 0.01 },
  sampling: { enabled: false, gamma: 1, floor: 0.3, momentum: 0.9 },
};

/** Our recipe: the bundled `tiny` model. */
export const tinyTraining: TrainConfig = {
  plan: tinyPlan,
  textModel: 'tower',
  tower: tinyTower,
  init: null,
  steps: 'fit:62m',
  fold: 0,
  schedule: { kind: 'cosine', learningRate: 2e-3, warmupSteps: 60, finalShare: 0 },
  step: {
    seed: 1,
    batch: 2,
    accumulate: 1,
    sampling: { artery: 1, vein: 1, anywhere: 1, unannotated: 1, jitter: 0.25 },
    augment: {
      flip: { probability: 0.5 },
      rotate: { probability: 0 },
      turn: { probability: 0, degrees: [15, 15, 15] },
      scale: { probability: 0, factor: [0.85, 1.2] },
      elastic: { probability: 0, amountMm: 6, gridMm: 32 },
      gamma: { probability: 0.2, exponent: [0.8, 1.25] },
      invertedGamma: { probability: 0, exponent: [0.8, 1.25] },
      contrast: { probability: 0.2, factor: [0.85, 1.15] },
      shift: { probability: 0.3, amountHu: 40 },
      blur: { probability: 0.25, sigmaVoxels: [0.3, 0.8] },
      noise: { probability: 0.4, sdHu: [5, 40], sigmaVoxels: [0, 0.8] },
      slices: { probability: 0.25, thicknessMm: [1.5, 4] },
      lowResolution: { probability: 0, voxelMm: [1.5, 2.5] },
      coarse: { probability: 0.12, voxelMm: [2, 4.5] },
    },
    unannotated: 'ignore',
    loss: {
      dice: 1,
      bce: 1,
      skeletonRecall: 0,
      softClDice: 0,
      smooth: 1,
      batchDice: true,
      scaleWeights: [1, 0.4],
      mapWeights: { class: 1, sided: 0.1, union: 0.1, auxiliary: 0.3 },
    },
    optimizer: {
      kind: 'adamw',
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 1e-4,
      clipNorm: 1,
      meanDecay: 0.995,
    },
    frozen: [],
  },
  adapt: noPolicies,
  validateEvery: 1000,
  earlyStop: { validations: null },
  validateCases: 2,
  checkpointSeconds: 180,
};

/**
 * The published recipe (docs/method.md, Training and its schedule), on the la-caf preset; its text encoder is whatever
 * `textModel` names.
 */
export const laCafTraining: TrainConfig = {
  plan: laCafPlan,
  textModel: 'tower',
  tower: tinyTower,
  init: null,
  steps: 50_000,
  fold: 0,
  schedule: { kind: 'cosine', learningRate: 8e-4, warmupSteps: 500, finalShare: 0 },
  step: {
    seed: 1,
    batch: 4,
    accumulate: 1,
    sampling: { artery: 1, vein: 1, anywhere: 1, unannotated: 1, jitter: 0.25 },
    augment: {
      flip: { probability: 0 },
      rotate: { probability: 0.1 },
      turn: { probability: 0, degrees: [15, 15, 15] },
      scale: { probability: 0, factor: [0.85, 1.2] },
      elastic: { probability: 0, amountMm: 6, gridMm: 32 },
      gamma: { probability: 0, exponent: [1, 1] },
      invertedGamma: { probability: 0, exponent: [0.8, 1.25] },
      contrast: { probability: 0, factor: [1, 1] },
      shift: { probability: 0.2, amountHu: 100 },
      blur: { probability: 0, sigmaVoxels: [0, 0] },
      noise: { probability: 0, sdHu: [0, 0], sigmaVoxels: [0, 0] },
      slices: { probability: 0, thicknessMm: [1.5, 1.5] },
      lowResolution: { probability: 0, voxelMm: [1.5, 2.5] },
      coarse: { probability: 0, voxelMm: [1.5, 1.5] },
    },
    unannotated: 'ignore',
    loss: {
      dice: 1,
      bce: 1,
      skeletonRecall: 0,
      softClDice: 0,
      smooth: 1,
      batchDice: false,
      scaleWeights: [1],
      mapWeights: { class: 1, sided: 1, union: 1, auxiliary: 0 },
    },
    optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-5, clipNorm: 0, meanDecay: 0 },
    frozen: [],
  },
  adapt: noPolicies,
  validateEvery: 1000,
  earlyStop: { validations: null },
  validateCases: 4,
  checkpointSeconds: 180,
};

/** Recipes by name, for `--config tiny` and `--config la-caf`. */
export const recipes: Record<string, TrainConfig> = { tiny: tinyTraining, 'la-caf': laCafTraining };
