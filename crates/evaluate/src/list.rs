//! The one list of scores, in the order of results.

use crate::overlap::{dice, iou, leakage, precision, recall, swap, volume, voxels};
use crate::score::Score;
use crate::skeleton::{calibre, cl_dice, hilum, line_recall, line_swap, small_vessels};
use crate::surface::{average, contact, hausdorff, nsd, voxel_average, voxel_hausdorff};
use crate::tree::{betti, branches_detected, branches_swapped, length_detected};

/// Every score.
pub const SCORES: &[Score] = &[
    dice::DICE,
    voxels::PRED_VOXELS,
    voxels::REF_VOXELS,
    iou::IOU,
    precision::PRECISION,
    recall::RECALL,
    swap::SWAP_RATE,
    leakage::LEAKAGE,
    volume::PRED_ML,
    volume::REF_ML,
    hausdorff::HD95,
    hausdorff::HD100,
    average::ASSD,
    nsd::NSD_HALF_MM,
    nsd::NSD_1_MM,
    nsd::NSD_2_MM,
    voxel_hausdorff::HD95_VOXELS,
    voxel_hausdorff::HD100_VOXELS,
    voxel_average::ASSD_VOXELS,
    contact::PRED_CONTACT,
    contact::REF_CONTACT,
    cl_dice::CL_DICE,
    line_recall::SKELETON_RECALL,
    line_recall::SKELETON_PRECISION,
    line_swap::SWAP_RATE_LENGTH,
    calibre::RECALL[0],
    calibre::RECALL[1],
    calibre::RECALL[2],
    calibre::RECALL[3],
    calibre::SWAP_RATE[0],
    calibre::SWAP_RATE[1],
    calibre::SWAP_RATE[2],
    calibre::SWAP_RATE[3],
    hilum::RECALL[0],
    hilum::RECALL[1],
    hilum::RECALL[2],
    hilum::RECALL[3],
    small_vessels::PRED_BV5,
    small_vessels::REF_BV5,
    small_vessels::PRED_BV10,
    small_vessels::REF_BV10,
    length_detected::LENGTH_DETECTED,
    branches_detected::BRANCHES_DETECTED,
    branches_swapped::SWAP_RATE_BRANCHES,
    betti::BETTI_0_ERROR,
    betti::BETTI_1_ERROR,
    betti::BETTI_2_ERROR,
];
