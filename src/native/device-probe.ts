// Asks the CUDA driver what is there, in a process of its own: a broken driver may end or hang it. Prints JSON.
import { writeSync } from 'node:fs';
import type { ProbeAnswer } from './device.js';
import { addon } from './load.js';

const asked = process.argv[2];
const probe = addon().probeDevices();
const tried = asked === undefined ? null : addon().tryDevice(asked);
const answer: ProbeAnswer = {
  probe,
  device: tried !== null && 'name' in tried ? tried : null,
  refusal: tried !== null && 'message' in tried ? tried.message : null,
};
writeSync(1, `${JSON.stringify(answer)}\n`);
