import { z } from 'zod';

/** Which sides and classes of a case were annotated; the rest is 0 in the file. Without either it is unlabelled. */
export const annotated = z.object({
  sides: z.array(z.enum(['left', 'right'])),
  classes: z.array(z.enum(['artery', 'vein'])),
  /** Whether what lies between the lungs was annotated; by default where both sides were. */
  central: z.boolean().optional(),
});

/** What is in a phantom's scan. */
export const scanFacts = z.record(z.string(), z.unknown());

/** `dataset.json`: nnU-Net's keys, and what is annotated in each case. */
export const datasetConfig = z.looseObject({
  name: z.string().optional(),
  channel_names: z.record(z.string(), z.string()),
  labels: z.record(z.string(), z.number()),
  numTraining: z.number(),
  file_ending: z.string(),
  /** Vessels thinner than this are not labelled, mm. */
  minLabelledDiameterMm: z.number().optional(),
  cases: z.record(
    z.string(),
    z.looseObject({
      annotated,
      phase: z.string().optional(),
      seed: z.number().optional(),
      /** Of phantoms; none is `plain`. */
      style: z.string().optional(),
      /** What is in a phantom. */
      scan: scanFacts.optional(),
    }),
  ),
});

export type Annotated = z.infer<typeof annotated>;
export type DatasetDescription = z.infer<typeof datasetConfig>;
