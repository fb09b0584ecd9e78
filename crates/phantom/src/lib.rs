//! Synthetic chests with known vessels
