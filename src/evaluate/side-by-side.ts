/** How much may run at once. */
export interface Room {
  /** So many pieces of work at most. */
  most: number;
  /** What they may take together, bytes; a piece that needs more runs alone. */
  bytes: number;
}

/** Does work on each item, several at once where there is room; what comes of them is in the items' order. */
export async function sideBySide<In, Out>(
  items: readonly In[],
  room: Room,
  needBytes: (item: In) => Promise<number>,
  work: (item: In, index: number) => Promise<Out>,
): Promise<Out[]> {
  const results = new Array<Out>(items.length);
  const running = new Set<Promise<void>>();
  let taken = 0;
  try {
    for (const [index, item] of items.entries()) {
      const need = await needBytes(item);
      while (running.size >= room.most || (running.size > 0 && taken + need > room.bytes)) await Promise.race(running);
      taken += need;
      const one = work(item, index).then((result) => {
        results[index] = result;
      });
      const ended = one.finally(() => {
        taken -= need;
        running.delete(ended);
      });
      running.add(ended);
    }
    await Promise.all(running);
  } finally {
    // Nothing of it goes on behind the caller's back.
    await Promise.allSettled(running);
  }
  return results;
}
