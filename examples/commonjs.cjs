// The package in CommonJS, which Node 20.19 and newer load by itself: node examples/commonjs.cjs SCAN
const { info, Segmenter } = require('pulmoav');

async function main([scan]) {
  const { shape, spacingMm } = await info(scan);
  console.log(`${shape.join(' × ')} voxels of ${spacingMm.map((mm) => mm.toFixed(2)).join(' × ')} mm`);
  const segmenter = await Segmenter.load();
  const { targets } = await segmenter.segment(scan);
  segmenter.dispose();
  for (const { name, volumeMl } of targets) console.log(`${name}: ${volumeMl.toFixed(1)} ml`);
}

main(process.argv.slice(2));
