// Labels a scan and says how much there is: node examples/segment.mjs SCAN LABELS
import { Segmenter, writeVolume } from 'pulmoav';

const [scan, labels] = process.argv.slice(2);
const segmenter = await Segmenter.load();
const found = await segmenter.segment(scan, { prompts: ['left artery', 'right artery', 'vein'] });
segmenter.dispose();
await writeVolume(labels, found.labels, { like: scan });
for (const { name, volumeMl } of found.targets) console.log(`${name}: ${volumeMl.toFixed(1)} ml`);
for (const { code, message } of found.warnings) console.log(`${code}: ${message}`);
