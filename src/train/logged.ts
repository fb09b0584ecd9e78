import { z } from 'zod';

/** `null` where it was not a finite number. */
const value = z.number().nullable();
const values = z.record(z.string(), value);

const step = z.object({
  type: z.literal('step'),
  step: z.number(),
  loss: value,
  learningRate: z.number(),
  gradNorm: value,
  seconds: z.number(),
  targets: values,
  terms: values.default({}),
  lossFactors: values.default({}),
  teacher: z
    .object({
      loss: value,
      weight: z.number(),
      thresholds: z.array(z.number()),
      accepted: z.array(value),
      agreement: z.array(value).default([]),
    })
    .nullable()
    .default(null),
});

const validation = z.object({
  type: z.literal('validation'),
  step: z.number(),
  mean: z.record(z.string(), values),
  seconds: z.number(),
});

const end = z.object({
  type: z.literal('end'),
  step: z.number(),
  reason: z.enum(['finished', 'converged', 'time', 'cancelled']),
});

/** What is read back of a run's log: the lines with numbers, and how it ended. */
export const loggedEvent = z.discriminatedUnion('type', [step, validation, end]);

/** A line of a run's log that was read back. */
export type LoggedEvent = z.infer<typeof loggedEvent>;
