import { laCafPlan, tinyPlan } from './plan.js';
import { laCafTraining, tinyTraining } from './train.js';

/** Every default on one page; the build writes it to `defaults.json`, which Rust's tests read. */
export const defaults = {
  plans: { tiny: tinyPlan, 'la-caf': laCafPlan },
  training: { tiny: tinyTraining, 'la-caf': laCafTraining },
};
