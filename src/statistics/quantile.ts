/** The value below which `share` (0 to 1) of ascending values lie, linear between neighbours; NaN of none. */
export function quantile(ascending: ArrayLike<number>, share: number): number {
  const place = share * (ascending.length - 1);
  const [low, high] = [Math.floor(place), Math.ceil(place)].map((at) => ascending[at] ?? Number.NaN) as [
    number,
    number,
  ];
  return low + (high - low) * (place - Math.floor(place));
}
