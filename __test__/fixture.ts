import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TrainSettings, train, type Volume, writeVolume } from 'pulmoav';

/** The repository. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Files that are not part of the repository; tests of them skip where they are missing. */
export const shared = join(root, '..', 'shared', 'data');

const folders: string[] = [];
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder that goes away with the process. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'pulmoav-test-'));
  folders.push(made);
  return made;
}

/** Everything below a folder, sorted: what a stray or half-written file would show up in. */
export function listing(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
}

/** Whether two arrays hold the same bytes; AVA's own comparison takes minutes for a volume. */
export function same(a: ArrayBufferView | undefined, b: ArrayBufferView | undefined): boolean {
  const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return a !== undefined && b !== undefined && bytes(a).equals(bytes(b));
}

/** A chest with two lungs and bright rods in them, 4 × 3.5 × 3.5 mm, and the rods' labels: arteries left of a rod pair. */
export function chest(): { ct: Volume<Int16Array>; labels: Volume<Uint8Array> } {
  const [nz, ny, nx] = [48, 64, 88];
  const ct = new Int16Array(nz * ny * nx);
  const labels = new Uint8Array(ct.length);
  let at = 0;
  for (let z = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, at++) {
        const body = ((y - 32) / 30) ** 2 + ((x - 44) / 42) ** 2 < 1;
        const lung = inLung(z, y, x, 24, 16) || inLung(z, y, x, 64, 15);
        const rod = (y + Math.floor(x / 3)) % 9 < 2 && (Math.floor(z / 2) + x) % 11 < 3;
        const texture = ((z * 7 + y * 3 + x * 5) % 11) * 4;
        ct[at] = lung ? (rod ? 150 - texture : texture - 860) : body ? 30 + texture : -1024;
        labels[at] = lung && rod ? 1 + (Math.floor(y / 9) % 2) : 0;
      }
    }
  }
  const geometry = {
    shape: [nz, ny, nx] as [number, number, number],
    spacingMm: [4, 3.5, 3.5] as [number, number, number],
    affine: [3.5, 0, 0, -150, 0, 3.5, 0, -110, 0, 0, 4, 20, 0, 0, 0, 1],
  };
  return { ct: { data: ct, ...geometry }, labels: { data: labels, ...geometry } };
}

/** The same chest at half its size, which takes a moment to segment. */
export function smallChest(): ReturnType<typeof chest> {
  const { ct, labels } = chest();
  const halved = {
    spacingMm: [2, 1.75, 1.75] as [number, number, number],
    affine: ct.affine.map((value, index) => (index < 12 ? value / 2 : value)),
  };
  return { ct: { ...ct, ...halved }, labels: { ...labels, ...halved } };
}

function inLung(z: number, y: number, x: number, centre: number, radius: number): boolean {
  return ((z - 24) / 20) ** 2 + ((y - 32) / 19) ** 2 + ((x - centre) / radius) ** 2 < 1;
}

/** A data set of two such chests, one to learn from and one to validate on. */
export async function dataset(): Promise<string> {
  const directory = folder();
  const { ct, labels } = chest();
  const names = ['one', 'two'];
  for (const part of ['imagesTr', 'labelsTr']) mkdirSync(join(directory, part));
  for (const name of names) {
    await writeVolume(join(directory, 'imagesTr', `${name}_0000.nii.gz`), ct);
    await writeVolume(join(directory, 'labelsTr', `${name}.nii.gz`), labels);
  }
  const annotated = { sides: ['left', 'right'], classes: ['artery', 'vein'] };
  const description = {
    channel_names: { '0': 'CT' },
    labels: { background: 0, artery: 1, vein: 2 },
    numTraining: names.length,
    file_ending: '.nii.gz',
    cases: Object.fromEntries(names.map((name) => [name, { annotated }])),
  };
  writeFileSync(join(directory, 'dataset.json'), JSON.stringify(description));
  writeFileSync(join(directory, 'splits_final.json'), JSON.stringify([{ train: ['one'], val: ['two'] }]));
  return directory;
}

/** A network so small that a step takes a moment, with the bundled model's text tower. */
export const smallest: TrainSettings = {
  plan: {
    name: 'smallest',
    spacingMm: [6, 6, 6],
    patch: [16, 16, 16],
    tiles: { tile: [32, 32, 32] },
    network: {
      preset: 'pulmoav',
      stageChannels: [8, 16],
      stageBlocks: [1, 1],
      promptWidth: 16,
      promptLayers: 1,
      heads: 2,
      supervisedScales: 1,
      textWidth: 64,
      auxiliary: [],
    },
  },
  textModel: 'tiny',
  steps: 1,
  step: { batch: 1, loss: { scaleWeights: [1] } },
  validateEvery: 0,
  validateCases: 1,
};

/** A model that took some steps: a directory that every part of the package can load. */
export async function smallestModel(steps = 1): Promise<string> {
  const { best } = await train({
    dataset: await dataset(),
    out: join(folder(), 'run'),
    config: { ...smallest, steps },
  });
  if (best === null) throw new Error('the run made no model');
  return best;
}
