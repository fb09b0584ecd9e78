// What the machine can do at most, measured in the same run as what is held against it.
import { cargoBench, threadFlags } from './processes.mjs';

/** `gflops`: multiply-adds and nothing else, GFLOP/s; `copyGbps`: bytes read and written by a copy of much memory, GB/s. */
export function peak(threads) {
  return cargoBench('peak', threadFlags(threads)).at(-1);
}
