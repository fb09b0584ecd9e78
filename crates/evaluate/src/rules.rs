//! What the scores of a case go by, in words, so that nobody has to guess it from a number.

use pulmoav_task::Cancelled;
use pulmoav_volume::Grid;

use crate::list::SCORES;
use crate::options::Restriction;
use crate::row::Case;
use crate::score::Group;

/// A rule, and the rows of the scores that it bore on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A stable name.
    pub name: &'static str,
    /// What is done.
    pub text: String,
    /// Rows whose scores it bore on; empty where it is about all of them.
    pub targets: Vec<String>,
}

/// Steps along two axes may be off a right angle by this cosine before distances are told to be off.
const SHEAR: f64 = 1e-3;

/// The rules of a case whose rows have these counts (name, predicted, reference).
/// `others`: values of the prediction that no target has.
pub(crate) fn rules(case: &Case<'_>, counts: &[(String, u64, u64)], others: &[u8]) -> Result<Vec<Rule>, Cancelled> {
    let mut rules = emptiness(counts);
    rules.extend(restrictions(case));
    if !others.is_empty() {
        let text = format!("Values {others:?} of the prediction are no target's (lungs, say) and count as background.");
        rules.push(all("otherLabels", &text));
    }
    let groups: Vec<Group> =
        SCORES.iter().filter(|score| case.options.asks_for(score)).map(|score| score.group).collect();
    if groups.contains(&Group::Surface) {
        rules.push(all(
            "surfaces",
            "Surfaces are those of the whole target: where voxels do not count, their surface elements \
            are left out, but no new surface arises at the edge.",
        ));
    }
    if groups.contains(&Group::Skeleton) || groups.contains(&Group::Tree) {
        rules.push(all(
            "centrelines",
            "The whole target is thinned, then only the voxels of its centreline that count are \
            scored.",
        ));
    }
    if groups.contains(&Group::Skeleton) && case.hila()?.is_none() {
        let why = if case.options.lungs.is_some() {
            "no vessel of the reference passes from outside the lungs into one"
        } else {
            "no map of the lungs was given"
        };
        rules.push(all("noHilum", &format!("Scores by distance from the hilum are null: {why}.")));
    }
    if groups.iter().any(|group| *group != Group::Overlap) {
        rules.push(all(
            "spacing",
            "Distances are in mm along the voxel axes with the spacing of each; how the grid is turned in \
            space does not matter.",
        ));
        if is_sheared(case.maps.grid()) {
            rules.push(all(
                "sheared",
                "The grid's axes are not at right angles, as after a tilted gantry: distances take them \
                as if they were. Volumes are exact.",
            ));
        }
    }
    Ok(rules)
}

fn all(name: &'static str, text: &str) -> Rule {
    Rule { name, text: text.to_owned(), targets: Vec::new() }
}

/// What empty masks mean: always told, with the rows that had some.
fn emptiness(counts: &[(String, u64, u64)]) -> Vec<Rule> {
    let rows = |is: fn(u64, u64) -> bool| -> Vec<String> {
        counts.iter().filter(|(_, pred, reference)| is(*pred, *reference)).map(|(name, ..)| name.clone()).collect()
    };
    let told = |name, text: &str, targets| Rule { name, text: text.to_owned(), targets };
    vec![
        told(
            "bothEmpty",
            "Reference and prediction are empty: every score is null and enters no mean, except counts and volumes, \
             which are 0.",
            rows(|pred, reference| pred == 0 && reference == 0),
        ),
        told(
            "emptyReference",
            "The reference is empty and the prediction is not: Dice, IoU, precision, NSD and clDice are 0; recall, \
             leakage, distances, lengths, branches and swaps are null.",
            rows(|pred, reference| pred > 0 && reference == 0),
        ),
        told(
            "emptyPrediction",
            "The prediction is empty and the reference is not: Dice, IoU, recall, NSD, clDice, lengths and branches \
             are 0; precision, distances and swaps are null, so read a mean of distances beside the number of cases \
             that it is over.",
            rows(|pred, reference| pred == 0 && reference > 0),
        ),
    ]
}

/// Where voxels count.
fn restrictions(case: &Case<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for restriction in &case.options.restrictions {
        rules.push(match restriction {
            Restriction::Within(_) => all("within", "Only voxels inside the mask count."),
            Restriction::Sides(_, sides) => all(
                "annotatedSides",
                &format!(
                    "Only voxels of the annotated sides count: {}. Vessels outside both lungs count only where they \
                 are annotated too.",
                    sides.iter().map(|side| SIDES[usize::from(*side).min(2)]).collect::<Vec<_>>().join(", ")
                ),
            ),
        });
    }
    if !case.options.ignored.is_empty() {
        rules.push(all("ignored", &format!("Voxels whose reference is {:?} do not count.", case.options.ignored)));
    }
    rules
}

/// Values of a map of sides.
const SIDES: [&str; 3] = ["outside the lungs", "left", "right"];

fn is_sheared(grid: &Grid) -> bool {
    let step = |axis: usize| [0, 1, 2].map(|row| grid.affine.0[row][axis]);
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    [(0, 1), (0, 2), (1, 2)].into_iter().any(|(a, b)| {
        let (a, b) = (step(a), step(b));
        dot(a, b).abs() > SHEAR * (dot(a, a) * dot(b, b)).sqrt()
    })
}
