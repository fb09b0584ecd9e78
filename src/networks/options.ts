import type { CallOptions, SeriesName } from '../types.js';

/** What is asked of one scan. */
export interface SegmentOptions extends CallOptions {
  /** What to look for, in words. @default the plan's own: artery, vein */
  prompts?: string[] | undefined;
  /** Return probabilities too. @default false */
  probabilities?: boolean | undefined;
  /**
   * Write the lungs into the label map too, where it holds no vessel. Left and right get the first two values above all
   * that the model has: 10 and 11 with `tiny`.
   *
   * @default false
   */
  keepLungs?: boolean | undefined;
  /**
   * Write the airways into the label map too, with the value after the right lung's; of the preset, airways and their
   * walls get 10 and 11.
   *
   * @default false
   */
  keepAirways?: boolean | undefined;
  /**
   * Post-process the labels: the lungs decide on the side of prompts that name one, and specks, air and what touches no
   * lung are cleared.
   *
   * @default as the model's plan says: yes with `pulmoav` networks, no with `la-caf`, which was published without
   */
  postprocess?: boolean | undefined;
  /**
   * Give each branch one class, artery or vein: what lies on a branch of the other class follows it, gaps of up to 6 mm
   * are bridged, and loose specks go. Needs prompts of both classes.
   *
   * @default as the model's plan says; where it does not say, as `postprocess`, and not in voxels above
   * 27 mm³ (warning `NOT_TIDIED`)
   */
  tidy?: boolean | undefined;
  /**
   * Fail where there is anything to warn of: nothing is answered then. A prompt with a side where the scan leaves the
   * sides unclear fails before the network looks.
   *
   * @default false
   */
  strict?: boolean | undefined;
  /** Which volume of a file with four or more axes. */
  index?: number | undefined;
  /** Which series of DICOM, by its UID or its number in the list of `listSeries`. @default the rule's choice */
  series?: SeriesName | undefined;
  /**
   * Show each window as it is and mirrored, so that the mean answers: nnU-Net's models along the axes that they were
   * trained for, those with prompts left to right, unless the network has to tell sides. `false`: no window is.
   *
   * @default true of nnU-Net's models; of `tiny` every second window is mirrored, none is shown twice
   */
  mirror?: boolean | undefined;
  /**
   * Share of a window by which windows move on, above 0 up to 1: small shares overlap more.
   *
   * @default the model's own: 0.67 of `tiny`, 0.5 of nnU-Net's
   */
  step?: number | undefined;
  /** Keep the values that a preset's model gives, instead of 1 for arteries and 2 for veins. @default false */
  rawLabels?: boolean | undefined;
  /**
   * Windows that a GPU is shown at a time, of networks with prompts; labels do not depend on it.
   *
   * @default as many as fit
   */
  tilesAtOnce?: number | undefined;
  /** Most memory the process may use, bytes. @default no limit */
  maxMemory?: number | undefined;
}
