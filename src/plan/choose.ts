import { tinyPlan } from '../config/plan.js';
import type { TrainSettings } from '../config/train.js';
import { tinyTraining } from '../config/train.js';
import { MemoryError } from '../errors.js';
import { stepBytes } from '../networks/step-memory.js';
import type { Axes } from '../types.js';
import type { Fingerprint } from './fingerprint.js';

/** Why a field of a config is what it is. */
export interface PlanReason {
  /** Path of the field in the config. */
  field: string;
  /** Its value, for people. */
  value: string;
  reason: string;
}

/** What was chosen for a data set. */
export interface Choice {
  config: TrainSettings;
  reasons: PlanReason[];
  /** Best Dice that the chosen spacing allows, by class. */
  ceiling: { artery: number | null; vein: number | null };
  /** Memory that a training step is foreseen to take at its peak. */
  predictedBytes: number;
}

/** The coarsest voxels on which labels keep this Dice are chosen: coarser ones hide vessels, finer ones cost time. */
const CEILING_WANTED = 0.88;
/** What a patch should show of the chest, mm. */
const PATCH_MM = 80;
const LEAST_PATCH = 32;
const MOST_PATCH = 128;
const LEAST_WINDOW_HU = 200;
const MOST_WINDOW_HU = 800;
/** Wider networks than the recipe's are for data sets of so many labelled cases. */
const MANY_CASES = 100;

/** Chooses what differs from the recipe `tiny` for a data set and a memory budget. */
export function choose(found: Fingerprint, budgetBytes: number): Choice {
  const reasons: PlanReason[] = [];
  const because = (field: string, value: unknown, reason: string) => {
    const text = Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
    reasons.push({ field, value: text, reason });
  };
  const { edgeMm, ceiling, reason } = chooseSpacing(found);
  because('plan.spacingMm', edgeMm, reason);
  const unannotated = chooseUnannotated(found);
  because('step.unannotated', unannotated.value, unannotated.reason);
  const size = chooseSize(found, edgeMm, budgetBytes, unannotated.value);
  because('plan.network.stageChannels', size.stageChannels, size.networkReason);
  because('plan.patch', size.patch, size.patchReason);
  because('step.batch', size.batch, size.batchReason);
  const tile = size.patch.map((edge) => roundUp(1.5 * edge, size.multiple)) as Axes;
  because('plan.tiles.tile', tile, 'one and a half patches: fewer borders than patches have');
  const high = chooseWindow(found);
  because('plan.channels[1].windowHu', [-500, high.hu], high.reason);
  return {
    config: {
      recipe: 'tiny',
      plan: {
        name: 'planned',
        spacingMm: [edgeMm, edgeMm, edgeMm],
        channels: tinyPlan.channels.map((channel, index) =>
          index === 1 ? { kind: 'window', windowHu: [-500, high.hu] } : channel,
        ),
        patch: size.patch,
        tiles: { tile },
        network: { preset: 'pulmoav', stageChannels: size.stageChannels },
      },
      step: { batch: size.batch, unannotated: unannotated.value },
    },
    reasons,
    ceiling,
    predictedBytes: size.predictedBytes,
  };
}

function chooseSpacing({ ceilings, spacingMm }: Fingerprint) {
  const both = ({ artery, vein }: Fingerprint['ceilings'][number]) => {
    const known = [artery, vein].filter((dice) => dice !== null);
    return known.length === 0 ? 0 : Math.min(...known);
  };
  const good = ceilings.findLast((one) => both(one) >= CEILING_WANTED);
  const chosen = good ?? ceilings[0] ?? { edgeMm: tinyPlan.spacingMm[0], artery: null, vein: null };
  const next = ceilings[ceilings.indexOf(chosen) + 1];
  const scans = `scans have ${spacingMm.median.map((mm) => mm.toFixed(2)).join(' × ')} mm`;
  const kept = `labels keep a Dice of ${dice(chosen)} through this grid and back`;
  const coarser = next ? `, at ${next.edgeMm} mm ${dice(next)}` : '';
  const least = good ? '' : `; none reaches ${CEILING_WANTED}, so this is the finest`;
  const ceiling = { artery: chosen.artery, vein: chosen.vein };
  return { edgeMm: chosen.edgeMm, ceiling, reason: `${scans}; ${kept}${coarser}${least}` };
}

function dice({ artery, vein }: { artery: number | null; vein: number | null }): string {
  return `${artery?.toFixed(2) ?? '–'} (artery) and ${vein?.toFixed(2) ?? '–'} (vein)`;
}

/** No teacher, whatever is annotated: so far it was measured to do harm (docs/learning-from-few-labels.md). */
function chooseUnannotated({ cases }: Fingerprint): { value: 'ignore'; reason: string } {
  const { full, half, unlabelled } = cases;
  if (half + unlabelled === 0) return { value: 'ignore', reason: `all ${full} cases are annotated in full` };
  const found = `${half} cases are annotated in part and ${unlabelled} not at all, ${full} in full`;
  const unused = unlabelled > 0 ? '; scans without any label are not used' : '';
  return { value: 'ignore', reason: `${found}; what is not annotated carries no loss${unused}` };
}

interface Size {
  stageChannels: number[];
  /** Edges are multiples of it. */
  multiple: number;
  patch: Axes;
  batch: number;
  predictedBytes: number;
}

/** The widest network with the largest patch that fits; narrower networks before patches below three quarters. */
function chooseSize(found: Fingerprint, edgeMm: number, budgetBytes: number, unannotated: 'ignore') {
  const labelled = found.cases.full + found.cases.half;
  const widths = labelled >= MANY_CASES ? [32, 16, 8] : [16, 8];
  const multiple = 2 ** 3;
  const wanted = wantedPatch(found, edgeMm, multiple);
  const sizes: Size[] = [];
  for (const share of [1, 0.75, 0.5]) {
    for (const width of widths) {
      for (const batch of [tinyTraining.step.batch, 1]) {
        const patch = wanted.map((edge) => Math.max(LEAST_PATCH, roundUp(share * edge, multiple))) as Axes;
        const stageChannels = [1, 2, 4, 8].map((factor) => factor * width);
        const size = { stageChannels, multiple, patch, batch };
        const plan = { network: { ...tinyPlan.network, stageChannels }, patch, targets: tinyPlan.targets };
        sizes.push({ ...size, predictedBytes: stepBytes({ plan, step: { batch, unannotated } }, false) });
      }
    }
  }
  const fitting = sizes.find(({ predictedBytes }) => predictedBytes <= budgetBytes);
  if (!fitting) throw tooSmall(Math.min(...sizes.map(({ predictedBytes }) => predictedBytes)), budgetBytes);
  const room = `about ${gib(fitting.predictedBytes)} of ${gib(budgetBytes)} at a step's peak`;
  const [width, widest] = [fitting.stageChannels[0], widths[0]];
  const cut = fitting.patch.some((edge, axis) => edge < (wanted[axis] ?? edge));
  const shown = fitting.patch.map((edge) => Math.round(edge * edgeMm)).join(' × ');
  const few = `for ${labelled} labelled cases (wider from ${MANY_CASES} on)`;
  return {
    ...fitting,
    networkReason: `${width === widest ? few : 'narrower than wanted, for memory'}: ${room}`,
    patchReason: `shows ${shown} mm${cut ? ', cut for memory' : ''}`,
    batchReason: fitting.batch === tinyTraining.step.batch ? "the recipe's" : 'one, for memory',
  };
}

/** About {@link PATCH_MM} each way, no more than the scans have. */
function wantedPatch({ shape, spacingMm }: Fingerprint, edgeMm: number, multiple: number): Axes {
  return shape.map((voxels, axis) => {
    const scan = roundUp((voxels * (spacingMm.median[axis] ?? edgeMm)) / edgeMm, multiple);
    return Math.max(LEAST_PATCH, Math.min(MOST_PATCH, roundUp(PATCH_MM / edgeMm, multiple), scan));
  }) as Axes;
}

function tooSmall(least: number, budgetBytes: number): MemoryError {
  return new MemoryError('ERR_MEMORY', `Training takes at least ${gib(least)}, but ${gib(budgetBytes)} is allowed.`, {
    hint: 'Allow more with --max-memory.',
  });
}

function chooseWindow({ hu }: Fingerprint): { hu: number; reason: string } {
  const highest = Math.max(...[hu.artery, hu.vein].flatMap((found) => (found ? [found[2]] : [])));
  const value = Math.min(MOST_WINDOW_HU, Math.max(LEAST_WINDOW_HU, roundUp(highest, 50)));
  return { hu: value, reason: `99.5 % of the labelled voxels lie below ${highest} HU` };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple - 1e-9) * multiple;
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
