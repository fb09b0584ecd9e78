//! Interpolation along one axis as a sparse matrix.

/// For each index of one side, the (index, weight) pairs of the other side that it sums.
pub(super) type Rows = Vec<Vec<(usize, f32)>>;

/// An interpolation and its transpose.
pub(super) struct Axis {
    /// For each output index: what it reads.
    pub(super) gather: Rows,
    /// For each input index: what reads it.
    pub(super) scatter: Rows,
}

impl Axis {
    pub(super) fn nearest(from: usize, to: usize) -> Self {
        let scale = from as f32 / to as f32;
        Self::new(from, (0..to).map(|i| vec![(((i as f32 * scale) as usize).min(from - 1), 1.0)]).collect())
    }

    pub(super) fn linear(from: usize, to: usize) -> Self {
        let scale = from as f32 / to as f32;
        let pairs = |i: usize| {
            let position = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
            let first = (position as usize).min(from - 1);
            let weight = position - first as f32;
            if weight == 0.0 || first + 1 == from {
                vec![(first, 1.0)]
            } else {
                vec![(first, 1.0 - weight), (first + 1, weight)]
            }
        };
        Self::new(from, (0..to).map(pairs).collect())
    }

    fn new(from: usize, gather: Rows) -> Self {
        let mut scatter = vec![Vec::new(); from];
        for (to, pairs) in gather.iter().enumerate() {
            for &(index, weight) in pairs {
                scatter[index].push((to, weight));
            }
        }
        Self { gather, scatter }
    }
}
