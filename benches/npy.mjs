// Reads NumPy's .npy files of half-precision numbers.

/** The numbers of a version 1 file of type `<f2`, in C order. */
export function halves(file) {
  const length = file.readUInt16LE(8);
  const header = file.toString('latin1', 10, 10 + length);
  if (!header.includes("'<f2'") || header.includes("'fortran_order': True"))
    throw new Error(`expected '<f2' in C order: ${header}`);
  const values = [];
  for (let at = 10 + length; at + 1 < file.length; at += 2) values.push(half(file.readUInt16LE(at)));
  return values;
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
