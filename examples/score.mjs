// Scores a label map against a reference: node examples/score.mjs LABELS REFERENCE
import { evaluate } from 'pulmoav';

const [labels, reference] = process.argv.slice(2);
const scores = await evaluate(labels, reference);
for (const [name, { dice }] of Object.entries(scores))
  console.log(`${name}: Dice ${dice?.toFixed(3) ?? 'not defined'}`);
