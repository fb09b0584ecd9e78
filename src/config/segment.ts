import { z } from 'zod';

/** Settings of the segment journey that are no part of the plan. */
export const segmentConfig = z.strictObject({
  /** Share of a tile that its neighbour covers too; `null` takes the plan's. */
  overlap: z.number().min(0).max(0.9).nullable(),
  /** Connected pieces of a target smaller than this are removed, mm³. */
  minComponentMm3: z.number().min(0),
});

/** Settings of the segment journey. */
export type SegmentConfig = z.infer<typeof segmentConfig>;

/** What is used where the caller says nothing. */
export const defaultSegmentConfig: SegmentConfig = { overlap: null, minComponentMm3: 20 };
