import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { IoError } from '../../errors.js';
import type { LabelName } from '../../labels.js';

/** NiiVue in one file, laid beside this one when the package is built. */
const NIIVUE = fileURLToPath(new URL('./niivue.umd.js', import.meta.url));

/** NiiVue's own text, as it may stand within a script element. */
export async function niivue(): Promise<string> {
  try {
    return (await readFile(NIIVUE, 'utf8')).replaceAll('</script', '<\\/script');
  } catch (error) {
    throw new IoError('ERR_IO', `NiiVue is not where the package has it: ${(error as Error).message}.`, {
      cause: error,
      hint: 'In a clone, "npm run build:ts" puts it there.',
    });
  }
}

/** What shows a scan and its labels, which stand in the page as packed NIfTI in base64, with NiiVue. */
export function viewerScript(names: readonly LabelName[]): string {
  const known = [{ value: 0, name: 'background', colour: [0, 0, 0] }, ...names];
  const table = {
    R: known.map(({ colour }) => colour[0]),
    G: known.map(({ colour }) => colour[1]),
    B: known.map(({ colour }) => colour[2]),
    A: known.map(({ value }) => (value === 0 ? 0 : 255)),
    I: known.map(({ value }) => value),
    labels: known.map(({ name }) => name),
  };
  return `
const table = ${JSON.stringify(table).replaceAll('<', '\\u003c')};
const told = document.getElementById('told');
const find = (id) => document.getElementById(id);
async function show() {
  const viewer = new niivue.Niivue({ backColor: [0, 0, 0, 1], crosshairColor: [1, 0.8, 0.2, 0.7], crosshairWidth: 0.5,
    isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarLayout: niivue.MULTIPLANAR_TYPE.GRID,
    dragAndDropEnabled: false, logLevel: 'error' });
  // NiiVue takes the canvas' size as it is shown.
  find('viewer').hidden = false;
  await viewer.attachToCanvas(find('view'));
  const volume = (id) => niivue.NVImage.loadFromBase64({ base64: find(id).textContent.trim(), name: id + '.nii.gz' });
  const scan = await volume('scan');
  scan.cal_min = -1000;
  scan.cal_max = 400;
  const labels = await volume('labels');
  labels.setColormapLabel(table);
  labels.opacity = 0.6;
  viewer.addVolume(scan);
  viewer.addVolume(labels);
  viewer.opts.multiplanarShowRender = niivue.SHOW_RENDER.ALWAYS;
  viewer.setSliceType(viewer.sliceTypeMultiplanar);
  // In 3-D the body is a faint shadow around the vessels.
  viewer.addColormap('body', { R: [0, 255], G: [0, 255], B: [0, 255], A: [0, 14], I: [0, 255] });
  scan.colormap = 'body';
  viewer.opts.renderOverlayBlend = 1;
  viewer.updateGLVolume();
  viewer.onLocationChange = (where) => { told.textContent = where.string; };
  const layout = { all: viewer.sliceTypeMultiplanar, axial: viewer.sliceTypeAxial, coronal: viewer.sliceTypeCoronal,
    sagittal: viewer.sliceTypeSagittal, solid: viewer.sliceTypeRender };
  find('layout').addEventListener('change', (event) => viewer.setSliceType(layout[event.target.value]));
  find('opacity').addEventListener('input', (event) => viewer.setOpacity(1, Number(event.target.value)));
  find('scanned').addEventListener('input', (event) => viewer.setOpacity(0, Number(event.target.value)));
  find('window').addEventListener('change', (event) => {
    [scan.cal_min, scan.cal_max] = event.target.value.split(' ').map(Number);
    viewer.updateGLVolume();
  });
  document.body.dataset.viewer = 'shown';
}
show().catch((error) => {
  find('viewer').hidden = true;
  document.body.dataset.viewer = 'failed';
  find('apology').hidden = false;
  find('apology').textContent = 'The viewer needs WebGL 2, which this browser does not give: ' + error.message;
});
`;
}
