//! What can go wrong with networks that answer with classes.

/// Why a scan cannot be shown to a network that answers with classes, or its answer not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassError {
    /// There are more or fewer scans than the model has channels.
    #[error(
        "this model looks at {} scan(s), one a channel ({}), but {found} came; give one file for each",
        names.len(),
        names.join(", ")
    )]
    Channels {
        /// Names of the model's channels, in order.
        names: Vec<String>,
        /// Scans given.
        found: usize,
    },
    /// The scans of two channels are not on one grid.
    #[error("the scan of channel {name} is not on the grid of the first: {difference}; resample it to that grid first")]
    Grids {
        /// Name of the channel.
        name: String,
        /// What differs.
        difference: String,
    },
    /// A scan is a picture, not a volume.
    #[error("the scan has shape {shape:?} [z, y, x], one voxel thick; expected a volume")]
    Flat {
        /// `[z, y, x]`.
        shape: [usize; 3],
    },
    /// A length of a voxel cannot be used.
    #[error("the scan's voxels are {spacing_mm:?} mm long [z, y, x]; expected lengths above 0, so mend the header")]
    Spacing {
        /// `[z, y, x]`.
        spacing_mm: [f64; 3],
    },
    /// Voxels are NaN or infinite.
    #[error(
        "the scan of channel {name} has {count} voxel(s) that are NaN or infinite; expected numbers, so mend the scan"
    )]
    NotFinite {
        /// Name of the channel.
        name: String,
        /// How many.
        count: usize,
    },
    /// A colour channel holds what is no colour.
    #[error("the scan of channel {name} ranges from {least} to {greatest}; this model expects colours from 0 to 255")]
    Rgb {
        /// Name of the channel.
        name: String,
        /// Least value.
        least: f32,
        /// Greatest value.
        greatest: f32,
    },
    /// The plan has no network, or the answer of one does not have the size that it should.
    #[error("a network gave {found} value(s) where the plan expects {expected}; the model does not fit its plan")]
    Answer {
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// Weighted logits do not fit into f16; nnunetv2 ends here too.
    #[error(
        "{count} summed logit(s) are infinite: this model's logits are too large for the 16-bit sums that its \
         labels are made of, and nnunetv2 would stop here too"
    )]
    Overflow {
        /// How many.
        count: usize,
    },
    /// The image is resampled, but its logits are not resampled back.
    #[error(
        "the plan resamples the image from {shape:?} to {network:?} voxels, but not the logits back; mend the plan"
    )]
    OneWay {
        /// Voxels of the image before, `[z, y, x]` of the network.
        shape: [usize; 3],
        /// Voxels that the network saw.
        network: [usize; 3],
    },
}

impl ClassError {
    /// The stable code people script against.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Channels { .. } => "ERR_USAGE",
            Self::Grids { .. } | Self::Flat { .. } | Self::Spacing { .. } => "ERR_GEOMETRY",
            Self::NotFinite { .. } | Self::Rgb { .. } => "ERR_FORMAT",
            Self::Answer { .. } | Self::Overflow { .. } | Self::OneWay { .. } => "ERR_MODEL",
        }
    }
}
