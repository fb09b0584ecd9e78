import { type Evaluation, evaluationJson, scoredCases } from '../../evaluate/result.js';
import type { TargetScores } from '../../scores.js';
import { meanOf } from '../../statistics/mean.js';

/** Our targets that nnU-Net has as label values of a map of arteries and veins. */
const LABELS: Record<string, string> = { artery: '1', vein: '2' };

/** What nnU-Net v2 says of a label, under its names. */
type Metrics = Record<'Dice' | 'FN' | 'FP' | 'IoU' | 'TN' | 'TP' | 'n_pred' | 'n_ref', number | null>;

/**
 * nnU-Net v2's `summary.json` (nnunetv2/evaluation/evaluate_predictions.py) of arteries and veins, as labels 1 and 2:
 * `metric_per_case`, `mean` over the cases in which a metric is defined, `foreground_mean` over the labels. Where
 * nnU-Net writes NaN, which is no JSON, stands `null`. Under `pulmoav` is the whole evaluation, other targets and cases
 * without scores included.
 */
export function nnunetSummary(evaluation: Evaluation): object {
  const cases = [];
  for (const one of scoredCases(evaluation)) {
    const metrics: Record<string, Metrics> = {};
    for (const [target, label] of Object.entries(LABELS)) {
      const scores = one.scores[target];
      if (scores) metrics[label] = metricsOf(scores, one.countedVoxels);
    }
    cases.push({ metrics, prediction_file: one.pred, reference_file: one.ref });
  }
  const mean = meansOf(cases.map(({ metrics }) => metrics));
  return {
    foreground_mean: foregroundMean(Object.values(mean)),
    mean,
    metric_per_case: cases,
    pulmoav: evaluationJson(evaluation),
  };
}

function metricsOf(scores: TargetScores, voxels: number): Metrics {
  const { dice = null, iou = null, predVoxels = null, refVoxels = null } = scores;
  // Overlap was not asked for.
  if (predVoxels === null || refVoxels === null) {
    return { Dice: dice, FN: null, FP: null, IoU: iou, TN: null, TP: null, n_pred: predVoxels, n_ref: refVoxels };
  }
  // Dice = 2·TP ÷ (predicted + reference), and TP is a whole number.
  const TP = Math.round(((dice ?? 0) * (predVoxels + refVoxels)) / 2);
  const [FP, FN] = [predVoxels - TP, refVoxels - TP];
  return { Dice: dice, FN, FP, IoU: iou, TN: voxels - TP - FP - FN, TP, n_pred: predVoxels, n_ref: refVoxels };
}

function meansOf(cases: Record<string, Metrics>[]): Record<string, Metrics> {
  const labels = Object.values(LABELS).filter((label) => cases.some((metrics) => metrics[label]));
  return Object.fromEntries(
    labels.map((label) => {
      const mean = (name: keyof Metrics) => meanOf(cases.map((metrics) => metrics[label]?.[name] ?? null));
      return [label, record(mean)];
    }),
  );
}

/** Not defined where a label's mean is not, as in nnU-Net. */
function foregroundMean(means: Metrics[]): Metrics {
  return record((name) => {
    const values = means.map((mean) => mean[name]);
    return values.includes(null) ? null : meanOf(values);
  });
}

function record(of: (name: keyof Metrics) => number | null): Metrics {
  return {
    Dice: of('Dice'),
    FN: of('FN'),
    FP: of('FP'),
    IoU: of('IoU'),
    TN: of('TN'),
    TP: of('TP'),
    n_pred: of('n_pred'),
    n_ref: of('n_ref'),
  };
}
