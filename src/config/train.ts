import { z } from 'zod';
import { laCafPlan, planConfig, tinyPlan } from './plan.js';

const count = z.number().int().positive();
const share = z.number().min(0).max(1);
const chance = z.number().min(0).max(1);
const range = z.tuple([z.number(), z.number()]);

/** Learning rate by step: linear warm-up, then cosine down to a share of the peak. */
const schedule = z.strictObject({
  /** Peak learning rate. */
  learningRate: z.number().positive(),
  /** Steps of linear warm-up. */
  warmupSteps: z.number().int().min(0),
  /** Share of the peak that is left at the last step. */
  finalShare: share,
});

/** Augmentations of a patch, in the order in which they are applied. */
const augment = z.strictObject({
  flip: z.strictObject({ probability: chance }),
  rotate: z.strictObject({ probability: chance }),
  gamma: z.strictObject({ probability: chance, exponent: range }),
  contrast: z.strictObject({ probability: chance, factor: range }),
  shift: z.strictObject({ probability: chance, amountHu: z.number().min(0) }),
  blur: z.strictObject({ probability: chance, sigmaVoxels: range }),
  noise: z.strictObject({ probability: chance, sdHu: range, sigmaVoxels: range }),
  slices: z.strictObject({ probability: chance, thicknessMm: range }),
  coarse: z.strictObject({ probability: chance, voxelMm: range }),
});

const optimizer = z.strictObject({
  beta1: share,
  beta2: share,
  epsilon: z.number().positive(),
  weightDecay: z.number().min(0),
  /** Largest global gradient norm; 0 turns clipping off. */
  clipNorm: z.number().min(0),
  /** Decay of the running mean of the weights, which is what gets exported and scored. */
  meanDecay: share,
});

/** What a native step needs, complete; it refuses unknown fields. */
const step = z.strictObject({
  /** Seed of everything random in the run. */
  seed: z.number().int().min(0),
  /** Patches a step. */
  batch: count,
  /** Odds of a patch about an artery voxel, a vein voxel, or anywhere. */
  sampling: z.strictObject({
    artery: z.number().min(0),
    vein: z.number().min(0),
    anywhere: z.number().min(0),
    jitter: z.number().min(0).max(0.5),
  }),
  augment,
  /** Weights of the loss's parts; a weight a supervised scale, finest first. */
  loss: z.strictObject({
    dice: z.number().min(0),
    bce: z.number().min(0),
    smooth: z.number().positive(),
    batchDice: z.boolean(),
    scaleWeights: z.array(z.number().min(0)).min(1),
    /** Weights in the mean over the maps: targets of one class, of one class and side, of several classes, auxiliary maps. */
    mapWeights: z.strictObject({
      class: z.number().min(0),
      sided: z.number().min(0),
      union: z.number().min(0),
      auxiliary: z.number().min(0),
    }),
  }),
  optimizer,
});

/** Training of a small text tower of the run's own. */
const tower = z.strictObject({
  seed: z.number().int().min(0),
  /** Channels and width of the embeddings, a multiple of 16. */
  width: count,
  layers: count,
  steps: count,
  /** Phrases an update. */
  batch: count,
  learningRate: z.number().positive(),
  /** Share of the answer spread over the other classes. */
  smoothing: z.number().min(0).max(0.5),
  optimizer,
});

/** A whole training run. */
export const trainConfig = z.strictObject({
  /** The network and its data. */
  plan: planConfig,
  /** Where prompts' embeddings come from: `tower` trains a small text tower first; else the model whose tower is taken over. */
  textModel: z.string().min(1),
  tower,
  /** Length of the run: steps, or a wall time such as `fit:75m` that is measured once into steps. */
  steps: z.union([count, z.string().regex(/^fit:\d+(\.\d+)?[smh]$/, 'expected a number of steps, or fit:75m')]),
  schedule,
  step,
  /** Steps between validations; 0 validates at the end only. */
  validateEvery: z.number().int().min(0),
  /** Validation cases scored each time, the first ones by name. */
  validateCases: count,
  /** Seconds between checkpoints. */
  checkpointSeconds: z.number().positive(),
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
  optimizer: { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.05, clipNorm: 1, meanDecay: 0 },
};

/** Our recipe: the bundled `tiny` model. */
export const tinyTraining: TrainConfig = {
  plan: tinyPlan,
  textModel: 'tower',
  tower: tinyTower,
  steps: 'fit:62m',
  schedule: { learningRate: 2e-3, warmupSteps: 60, finalShare: 0 },
  step: {
    seed: 1,
    batch: 2,
    sampling: { artery: 1, vein: 1, anywhere: 1, jitter: 0.25 },
    augment: {
      flip: { probability: 0.5 },
      rotate: { probability: 0 },
      gamma: { probability: 0.2, exponent: [0.8, 1.25] },
      contrast: { probability: 0.2, factor: [0.85, 1.15] },
      shift: { probability: 0.3, amountHu: 40 },
      blur: { probability: 0.25, sigmaVoxels: [0.3, 0.8] },
      noise: { probability: 0.4, sdHu: [5, 40], sigmaVoxels: [0, 0.8] },
      slices: { probability: 0.25, thicknessMm: [1.5, 4] },
      coarse: { probability: 0.12, voxelMm: [2, 4.5] },
    },
    loss: {
      dice: 1,
      bce: 1,
      smooth: 1,
      batchDice: true,
      scaleWeights: [1, 0.4],
      mapWeights: { class: 1, sided: 0.1, union: 0.1, auxiliary: 0.3 },
    },
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4, clipNorm: 1, meanDecay: 0.995 },
  },
  validateEvery: 1000,
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
  steps: 50_000,
  schedule: { learningRate: 8e-4, warmupSteps: 500, finalShare: 0 },
  step: {
    seed: 1,
    batch: 4,
    sampling: { artery: 1, vein: 1, anywhere: 1, jitter: 0.25 },
    augment: {
      flip: { probability: 0 },
      rotate: { probability: 0.1 },
      gamma: { probability: 0, exponent: [1, 1] },
      contrast: { probability: 0, factor: [1, 1] },
      shift: { probability: 0.2, amountHu: 100 },
      blur: { probability: 0, sigmaVoxels: [0, 0] },
      noise: { probability: 0, sdHu: [0, 0], sigmaVoxels: [0, 0] },
      slices: { probability: 0, thicknessMm: [1.5, 1.5] },
      coarse: { probability: 0, voxelMm: [1.5, 1.5] },
    },
    loss: {
      dice: 1,
      bce: 1,
      smooth: 1,
      batchDice: false,
      scaleWeights: [1],
      mapWeights: { class: 1, sided: 1, union: 1, auxiliary: 0 },
    },
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-5, clipNorm: 0, meanDecay: 0 },
  },
  validateEvery: 1000,
  validateCases: 4,
  checkpointSeconds: 180,
};

/** Recipes by name, for `--config tiny` and `--config la-caf`. */
export const recipes: Record<string, TrainConfig> = { tiny: tinyTraining, 'la-caf': laCafTraining };
