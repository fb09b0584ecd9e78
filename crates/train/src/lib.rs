//! Cases, patches, losses, optimiser: one training step
