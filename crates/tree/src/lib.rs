//! Skeletons and vessel trees of masks
