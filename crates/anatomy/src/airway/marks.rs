//! What waves know of each voxel, one byte a voxel: who holds it, and how dark it is.

/// The lowest two bits of a mark.
const STATE: u8 = 3;
/// Above them: 0 where nobody looked yet, else one more than the thresholds that the voxel lies below.
const DARKNESS_SHIFT: u8 = 2;

/// Which wave holds a voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// None that has reached it.
    Free = 0,
    /// The running one.
    Running = 1,
    /// It belongs to a branch.
    Taken = 2,
    /// The running one, in the layer that is being parted.
    Front = 3,
}

/// A mark a voxel of the scan; all are free at first.
pub(super) struct Marks(Vec<u8>);

impl Marks {
    pub(super) fn new(voxels: usize) -> Self {
        Self(vec![0; voxels])
    }

    pub(super) fn is(&self, voxel: u32, state: State) -> bool {
        self.0[voxel as usize] & STATE == state as u8
    }

    pub(super) fn set(&mut self, voxel: u32, state: State) {
        let mark = &mut self.0[voxel as usize];
        *mark = *mark & !STATE | state as u8;
    }

    pub(super) fn set_all(&mut self, voxels: &[u32], state: State) {
        for &voxel in voxels {
            self.set(voxel, state);
        }
    }

    /// How many thresholds a voxel lies below; `None` where nobody looked yet.
    pub(super) fn darkness(&self, voxel: u32) -> Option<usize> {
        (self.0[voxel as usize] >> DARKNESS_SHIFT).checked_sub(1).map(usize::from)
    }

    /// Keeps how many thresholds a voxel lies below, fewer than 63.
    pub(super) fn set_darkness(&mut self, voxel: u32, thresholds: usize) {
        let mark = &mut self.0[voxel as usize];
        *mark = *mark & STATE | (thresholds as u8 + 1) << DARKNESS_SHIFT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_dark_a_voxel_is_stays_whoever_holds_it() {
        let mut marks = Marks::new(2);
        assert!(marks.is(1, State::Free));
        assert_eq!(marks.darkness(1), None);
        marks.set_darkness(1, 8);
        for state in [State::Front, State::Taken, State::Running, State::Free] {
            marks.set(1, state);
            assert!(marks.is(1, state) && marks.is(0, State::Free));
            assert_eq!([marks.darkness(0), marks.darkness(1)], [None, Some(8)]);
        }
        marks.set(0, State::Taken);
        marks.set_darkness(0, 0);
        assert!(marks.is(0, State::Taken));
        assert_eq!(marks.darkness(0), Some(0));
    }
}
