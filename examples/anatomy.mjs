// Lungs and airways of a scan, without a model: node examples/anatomy.mjs SCAN
import { anatomy } from 'pulmoav';

const { structures, carinaMm } = await anatomy(process.argv[2]);
for (const { name, volumeMl } of structures) console.log(`${name}: ${Math.round(volumeMl)} ml`);
console.log(
  carinaMm ? `the windpipe divides at ${carinaMm.map(Math.round).join(', ')} mm (RAS)` : 'no carina in the scan',
);
