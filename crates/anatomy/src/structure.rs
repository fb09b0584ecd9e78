//! What can be told apart in a label map of the anatomy.

/// A structure with its value and name in label maps; where two overlap the later one is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// The trunk with all that it encloses: not the table, clothes, arms apart from it, or air around it.
    Body,
    /// The mediastinum and the lungs' roots, where pulmonary vessels run outside the lungs.
    Mediastinum,
    /// The patient's left lung, whole: with its vessels, fluid, consolidations and free air around it.
    LeftLung,
    /// The patient's right lung.
    RightLung,
    /// The lumen of windpipe and bronchi.
    Airways,
}

impl Structure {
    /// All structures, in the order of their values.
    pub const ALL: [Self; 5] = [Self::Body, Self::Mediastinum, Self::LeftLung, Self::RightLung, Self::Airways];

    /// Value in label maps of the anatomy, 1 to 5.
    pub fn value(self) -> u8 {
        match self {
            Self::Body => 1,
            Self::Mediastinum => 2,
            Self::LeftLung => 3,
            Self::RightLung => 4,
            Self::Airways => 5,
        }
    }

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Mediastinum => "mediastinum",
            Self::LeftLung => "left lung",
            Self::RightLung => "right lung",
            Self::Airways => "airways",
        }
    }
}
