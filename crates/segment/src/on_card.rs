//! A scan on a card: it goes there as it is stored, is resampled to the plan's grid there, and its labels are decided
//! there, so that nothing but those comes back. What the host does instead is `prepare` and `restore`, to the bit.

use candle_core::{Device, Result, Tensor};
use pulmoav_anatomy::marks::{self, Marks};
use pulmoav_ops::resample::{self, Line, Lines, Scan, Table, Voxels};
use pulmoav_plan::{Channel, Crop, Plan};
use pulmoav_volume::crop::{Lying, Stored, VoxelBox};
use pulmoav_volume::resample::Pairs;

use crate::prepare::{AIR_HU, Prepared, WALL_HU, shows_body_only};

/// The canonical part of a scan as it lies in memory, taken to a card.
///
/// # Errors
/// A card without room; a scan of more than 2³¹ voxels.
pub(crate) fn take(lying: &Lying<'_>, device: &Device) -> Result<Scan> {
    let voxels = match &lying.values {
        Stored::I16(values) => Voxels::I16(values),
        Stored::F32(values) => Voxels::F32(values),
    };
    Scan::new(voxels, lying.origin, lying.strides, lying.shape, device)
}

/// Whether kernels can count its voxels.
pub(crate) fn is_countable(lying: &Lying<'_>) -> bool {
    let values = match &lying.values {
        Stored::I16(values) => values.len(),
        Stored::F32(values) => values.len(),
    };
    i32::try_from(values).is_ok()
}

/// Bytes of that.
pub(crate) fn bytes(lying: &Lying<'_>) -> u64 {
    (match &lying.values {
        Stored::I16(values) => size_of_val(*values),
        Stored::F32(values) => size_of_val(&values[..]),
    }) as u64
}

/// All channels of a box of the plan's grid, see [`make_channels`](crate::prepare::make_channels).
///
/// # Shapes
/// `scan`: the canonical part → `[z, y, x, c]` of `part`.
///
/// # Errors
/// A card without room.
pub(crate) fn channels(scan: &Scan, prepared: &Prepared, plan: &Plan, part: &VoxelBox) -> Result<Tensor> {
    let (inverse, device) = (&prepared.inverse, scan.device());
    let within = inverse.extent.seen_from(&inverse.part);
    let lines: [Line; 3] = std::array::from_fn(|axis| {
        let ends = [within.low[axis], within.high[axis]];
        let pairs = Pairs::within(scan.size()[axis], ends, prepared.shape[axis]);
        Line::sums((part.low[axis]..part.high[axis]).map(|voxel| pairs.of(voxel)))
    });
    let mut seen = scan.resampled(&Lines::new(&lines, device)?)?;
    if matches!(plan.crop, Crop::Lungs { .. }) {
        let mut marks = prepared.anatomy.marks_in(inverse.extent, prepared.shape);
        for (axis, places) in marks.places.iter_mut().enumerate() {
            *places = places[part.low[axis]..part.high[axis]].to_vec();
        }
        let table = table(marks, device)?;
        if shows_body_only(plan) {
            seen = resample::paint(seen, &table, marks::BODY, false, AIR_HU)?;
        }
        seen = resample::paint(seen, &table, marks::UNSEEN_WALL, true, WALL_HU)?;
    }
    let channels = plan.channels.iter().map(|channel| match channel {
        Channel::Window { window_hu: [low, high] } => {
            resample::Channel::Window { low: *low as f32, width: (high - low) as f32 }
        }
        Channel::Side => resample::Channel::Line,
    });
    resample::channels(&seen, &prepared.side[part.low[2]..part.high[2]], &channels.collect::<Vec<_>>())
}

/// What is known of voxels, on a card.
///
/// # Errors
/// A card without room.
pub(crate) fn table(marks: Marks, device: &Device) -> Result<Table> {
    Table::new(marks.values, marks.shape, &marks.places, device)
}

#[cfg(all(test, feature = "cuda"))]
mod tests {
    use pulmoav_ops::device::to_host;
    use pulmoav_task::Silent;
    use pulmoav_volume::{Orientation, Volume, Voxel};

    use super::*;
    use crate::fixture::{self, card, chest, plan};
    use crate::prepare::{part_of, prepare};

    /// Asserts that a card makes the host's channels, to the bit.
    fn check<T: Voxel>(ct: &Volume<T>, plan: &Plan, name: &str) {
        let Some(card) = card() else { return };
        let prepared = prepare(ct, plan, &Silent).unwrap();
        let scan = take(&part_of(ct, &prepared.inverse).lying(), &card).unwrap();
        let [depth, height, width] = prepared.shape;
        let part = VoxelBox { low: [1, 2, 3], high: [depth, height - 1, width - 2] };
        let found = to_host(&channels(&scan, &prepared, plan, &part).unwrap()).unwrap();
        let (all, many) = (fixture::channels(&prepared, plan), plan.channels.len());
        let rows = (part.low[0]..part.high[0]).flat_map(|z| (part.low[1]..part.high[1]).map(move |y| (z, y)));
        let expected = rows.flat_map(|(z, y)| {
            let row = (z * height + y) * width;
            all[(row + part.low[2]) * many..(row + part.high[2]) * many].iter().copied()
        });
        let expected: Vec<f32> = expected.collect();
        assert_eq!(found.len(), expected.len());
        let differ = found.iter().zip(&expected).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!(differ, 0, "{name}: {differ} of {} values differ", found.len());
    }

    #[test]
    fn a_card_sees_what_the_host_does() {
        let ct = chest();
        let narrow = Volume { data: ct.data.iter().map(|&hu| hu as i16).collect::<Vec<_>>(), grid: ct.grid };
        for (crop, spacing_mm) in [
            (Crop::Lungs { margin_mm: 25.0, body_only: true }, [4.0; 3]),
            (Crop::Lungs { margin_mm: 10.0, body_only: false }, [5.3, 2.7, 3.1]),
            (Crop::None, [4.0, 3.5, 3.5]),
            (Crop::Foreground { above_hu: -500.0 }, [7.0; 3]),
        ] {
            let mut plan = Plan { crop, spacing_mm, ..plan() };
            // One that voxels lie above, too.
            plan.channels.push(Channel::Window { window_hu: [-850.5, 20.0] });
            check(&ct, &plan, "f32");
            check(&narrow, &plan, "i16");
        }
        for (source, flipped) in [([2, 0, 1], [true, false, true]), ([0, 2, 1], [false, true, true])] {
            check(&Orientation { source, flipped }.orient(&narrow), &plan(), "turned");
        }
    }
}
