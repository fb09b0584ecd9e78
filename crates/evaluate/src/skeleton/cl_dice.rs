//! clDice = 2 T S / (T + S), with T = |line(P) ∩ R| / |line(P)| and S = |line(R) ∩ P| / |line(R)| (Shit et al., CVPR
//! 2021, arXiv 2003.07311).

use crate::centreline::Lines;

/// Overlap of centrelines and vessels, 0 to 1; `None` when both are empty.
pub fn cl_dice(lines: &Lines) -> Option<f64> {
    if lines.pred + lines.reference == 0 {
        return None;
    }
    let share = |inside: u64, all: u64| if all == 0 { 0.0 } else { inside as f64 / all as f64 };
    let (precision, recall) = (share(lines.pred_inside, lines.pred), share(lines.reference_inside, lines.reference));
    let sum = precision + recall;
    Some(if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum })
}

#[cfg(test)]
mod tests {
    use pulmoav_task::Silent;
    use pulmoav_volume::{Affine, Grid, Mask};

    use crate::{Options, Restriction, evaluate};

    const SHAPE: [usize; 3] = [24, 9, 9];

    /// A rod along z from one plane up to another.
    fn rod(radius: f64, [from, to]: [usize; 2]) -> Mask {
        let inside =
            |z: usize, y: usize, x: usize| (from..to).contains(&z) && (y as f64 - 4.0).hypot(x as f64 - 4.0) <= radius;
        let data = (0..SHAPE.iter().product()).map(|at| u8::from(inside(at / 81, at / 9 % 9, at % 9))).collect();
        let grid = Grid { shape: SHAPE, spacing_mm: [1.0; 3], affine: Affine::from_spacing([1.0; 3]) };
        Mask { data, grid }
    }

    fn cl_dice(pred: &Mask, reference: &Mask, within: Option<&Mask>) -> Option<f64> {
        let restrictions = within.into_iter().map(Restriction::Within).collect();
        let options = Options { centrelines: true, restrictions, ..Options::default() };
        let scores = evaluate(pred, reference, &options, &Silent).expect("one grid");
        scores.get("artery").expect("always there").get("clDice")
    }

    #[test]
    fn calibre_does_not_matter_and_length_does() {
        let (thin, thick, empty) = (rod(1.0, [2, 22]), rod(3.0, [2, 22]), rod(-1.0, [0, 0]));
        assert_eq!(cl_dice(&thin, &thin, None), Some(1.0));
        assert_eq!(cl_dice(&thick, &thin, None), Some(1.0));
        assert_eq!(cl_dice(&empty, &thin, None), Some(0.0));
        assert_eq!(cl_dice(&empty, &empty, None), None);
        // Half of the line is found and nothing else: 2 · 1 · ½ / 1½.
        let half = cl_dice(&rod(1.0, [2, 12]), &thin, None).expect("a number");
        assert!((half - 2.0 / 3.0).abs() < 0.05, "{half}");
        let lower = Mask { data: (0..24 * 81).map(|at| u8::from(at / 81 < 10)).collect(), grid: thin.grid };
        assert_eq!(cl_dice(&rod(1.0, [2, 12]), &thin, Some(&lower)), Some(1.0));
    }
}
