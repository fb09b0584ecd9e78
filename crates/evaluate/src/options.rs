//! What is scored, and where.

use pulmoav_volume::Mask;

/// A row of the scores: every voxel with one of these labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the scores.
    pub name: String,
    /// Labels that count as this target, none of them 0.
    pub labels: Vec<u8>,
    /// Labels it may be taken for: a reference voxel of this target that got one of them is swapped.
    pub swapped: Vec<u8>,
    /// Whether the row is given even when the reference has none of its labels.
    pub always: bool,
}

/// Which voxels count.
#[derive(Debug, Clone, Copy)]
pub enum Restriction<'a> {
    /// Where the mask is not 0: inside the lungs, say.
    Within(&'a Mask),
    /// Where the map of sides (1 the patient's left, 2 right) holds one of the annotated sides.
    Sides(&'a Mask, &'a [u8]),
}

/// What is scored, and where.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Rows of the scores, in order.
    pub targets: Vec<Target>,
    /// Voxels must pass every one of these to count.
    pub restrictions: Vec<Restriction<'a>>,
    /// Whether vessels are thinned to their centrelines too, which takes much longer than all the rest.
    pub centrelines: bool,
}

impl Default for Options<'_> {
    /// The labels of our plans, everywhere: artery, vein and both together; sided rows where the reference has sides.
    fn default() -> Self {
        let arteries = [1, 3, 4];
        let veins = [2, 5, 6];
        let row = |name: &str, labels: &[u8], swapped: &[u8], always| Target {
            name: name.to_owned(),
            labels: labels.to_vec(),
            swapped: swapped.to_vec(),
            always,
        };
        Self {
            targets: vec![
                row("artery", &arteries, &veins, true),
                row("vein", &veins, &arteries, true),
                row("left artery", &[3], &veins, false),
                row("right artery", &[4], &veins, false),
                row("left vein", &[5], &arteries, false),
                row("right vein", &[6], &arteries, false),
                row("vessels", &[1, 2, 3, 4, 5, 6, 7, 8, 9], &[], true),
                row("left vessels", &[3, 5, 8], &[], false),
                row("right vessels", &[4, 6, 9], &[], false),
            ],
            restrictions: Vec::new(),
            centrelines: false,
        }
    }
}
