//! Tree length detected = length of the reference's centreline that lies in the prediction / its whole length, in mm
//! (Zhang et al., ATM'22, Med Image Anal 2023, 90:102957, there in voxels).

use crate::pair::Which;
use crate::score::{Better, Group, Score, Unit};
use crate::skeleton::line_points::length_share;

pub(crate) const LENGTH_DETECTED: Score = Score {
    name: "treeLengthDetected",
    title: "Tree length detected",
    group: Group::Tree,
    unit: Unit::Share,
    better: Better::Higher,
    value: |row| Ok(length_share(row.points(Which::Reference)?.iter(), |point| point.inside)),
};
