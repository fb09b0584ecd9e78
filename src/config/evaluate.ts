import type { BootstrapSettings } from '../statistics/bootstrap.js';

/** How confidence intervals are drawn where nothing else is asked for. */
export const bootstrapDefaults: BootstrapSettings = { draws: 10_000, seed: 1, level: 0.95 };

/** So many of the worst cases a report draws. */
export const PICTURED_CASES = 6;
