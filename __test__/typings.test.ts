import test from 'ava';
import {
  type ErrorCode,
  evaluate,
  type PulmoavError,
  phantom,
  readVolume,
  type Segmentation,
  Segmenter,
  type TrainEvent,
  type TrainSettings,
  train,
  type Volume,
  writeVolume,
} from 'pulmoav';

/** Never called: that it compiles, and that each wrong use does not, is the test (`tsc -p __test__`, strict). */
async function uses(segmenter: Segmenter, volume: Volume, error: PulmoavError, event: TrainEvent): Promise<void> {
  const { labels, probabilities }: Segmentation = await segmenter.segment(volume, { prompts: ['artery'] });
  const label: number | undefined = labels.data[0];
  const axes: [number, number, number] = labels.shape;
  const code: ErrorCode = error.code;
  const settings: TrainSettings = { recipe: 'la-caf', steps: 'fit:75m', plan: { patch: [64, 64, 64] } };
  if (event.type === 'step') event.loss?.toFixed(3);
  void [label, axes, code, settings, probabilities?.length];

  // @ts-expect-error a label map's voxels are bytes, not a list
  const list: number[] = labels.data;
  // @ts-expect-error probabilities are there only when asked for
  probabilities.fill(0);
  // @ts-expect-error prompts are a list
  await segmenter.segment(volume, { prompts: 'artery' });
  // @ts-expect-error a volume has a shape
  await writeVolume('x.nii', { data: volume.data, spacingMm: [1, 1, 1], affine: [] });
  // @ts-expect-error the shape has three axes
  const flat: Volume['shape'] = [1, 2];
  // @ts-expect-error the index is a number
  await readVolume('x.nii', { index: '1' });
  // @ts-expect-error a segmenter is loaded, not constructed
  new Segmenter(1);
  // @ts-expect-error there is no such code
  const wrong: ErrorCode = 'ERR_NONE';
  // @ts-expect-error there is no such size
  await phantom({ out: 'x', size: 'huge' });
  // @ts-expect-error a run needs a data set
  await train({ out: 'x' });
  // @ts-expect-error a validation has no loss
  if (event.type === 'validation') event.loss;
  // @ts-expect-error a reference is needed
  await evaluate(volume);
  void [list, flat, wrong];
}

test('the typings hold for right uses and refuse wrong ones', (t) => {
  t.is(typeof uses, 'function');
});
