// Spearman's rank correlation.

/** How far the order of two lists is the same, −1 to 1; 0 for fewer than three values. */
export function spearman(a, b) {
  if (a.length < 3) return 0;
  const [x, y] = [ranks(a), ranks(b)];
  const middle = (a.length - 1) / 2;
  const sum = (of) => x.reduce((total, _, index) => total + of(index), 0);
  const spread = Math.sqrt(sum((i) => (x[i] - middle) ** 2) * sum((i) => (y[i] - middle) ** 2));
  return spread === 0 ? 0 : sum((i) => (x[i] - middle) * (y[i] - middle)) / spread;
}

/** From 0 on; equals share the mean of their ranks. */
function ranks(values) {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    return below + (values.filter((other) => other === value).length - 1) / 2;
  });
}
