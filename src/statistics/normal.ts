/** The normal density at `z`. */
function density(z: number): number {
  return Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
}

/** Φ(z): the share of a standard normal distribution below `z`, to about 1e-15. */
export function normalCdf(z: number): number {
  return z < 0 ? normalTail(-z) : 1 - normalTail(z);
}

/**
 * 1 − Φ(z), with its leading digits right far out too: for small `z` by ½ − φ(z)·(z + z³/3 + z⁵/(3·5) + …), for large
 * `z` by φ(z) ÷ (z + 1 ÷ (z + 2 ÷ (z + …))) (Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.11 and
 * 26.2.14).
 */
export function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  return z < 3 ? 0.5 - density(z) * series(z) : density(z) / continuedFraction(z);
}

function series(z: number): number {
  let [sum, term] = [z, z];
  for (let odd = 3; term > sum * 1e-17; odd += 2) {
    term *= (z * z) / odd;
    sum += term;
  }
  return sum;
}

function continuedFraction(z: number): number {
  let below = z;
  for (let level = 200; level >= 1; level--) below = z + level / below;
  return below;
}

/** Φ⁻¹(share) for a share above 0 and below 1, by halving. */
export function normalQuantile(share: number): number {
  let [low, high] = [-38, 38];
  for (let middle = 0; ; ) {
    if (normalCdf(middle) < share) low = middle;
    else high = middle;
    const next = (low + high) / 2;
    if (next === middle || next === low || next === high) return next;
    middle = next;
  }
}
