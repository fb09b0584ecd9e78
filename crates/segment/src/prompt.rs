//! Which of the plan's targets a request means.

use pulmoav_plan::{Plan, Target};
use pulmoav_task::Warning;

use crate::error::SegmentError;

/// The places among `plan.targets` of the names asked for; the plan's defaults when nothing is.
///
/// # Errors
/// `ERR_PROMPT` for an unknown name, for two that mean one target, and for a sided target on a scan that does not say
/// where left is (`oriented` false).
pub fn resolve(names: &[String], plan: &Plan, oriented: bool) -> Result<Vec<usize>, SegmentError> {
    let names = if names.is_empty() { &plan.default_targets } else { names };
    let mut asked: Vec<usize> = Vec::with_capacity(names.len());
    for name in names {
        let target = plan.target_index(name).ok_or_else(|| refused(plan, format!("no target is called `{name}`")))?;
        if asked.contains(&target) {
            return Err(refused(plan, format!("two prompts mean `{name}`; ask for it once")));
        }
        if plan.targets[target].side.is_some() && !oriented {
            return Err(SegmentError::NoOrientation { name: name.clone() });
        }
        asked.push(target);
    }
    if asked.is_empty() {
        return Err(refused(plan, "nothing is asked for and the model has no default targets".to_owned()));
    }
    Ok(asked)
}

/// Refuses a target with a side on a scan whose sides are in doubt.
///
/// # Errors
/// `ERR_PROMPT` for the first target with a side, if `warnings` has `SIDES_UNCLEAR` or `ORIENTATION_UNCLEAR`.
pub fn refuse_unclear_sides(asked: &[usize], plan: &Plan, warnings: &[Warning]) -> Result<(), SegmentError> {
    let is_unclear = warnings.iter().any(Warning::doubts_sides);
    let sided = asked.iter().map(|&place| &plan.targets[place]).find(|target| target.side.is_some());
    match sided {
        Some(target) if is_unclear => Err(SegmentError::UnclearSides { name: target.name.clone() }),
        _ => Ok(()),
    }
}

/// The places of the maps that answer for the targets asked, where the lungs are known: they tell sides better than a
/// network does, so a sided target is answered by the map of its classes on both sides, if the plan has one, and what
/// lies on the other side is cleared on the inverse transform (docs/method.md, Tiles and restoring labels).
pub fn maps(plan: &Plan, asked: &[usize]) -> Vec<usize> {
    let both_sides =
        |target: &Target| plan.targets.iter().position(|other| other.side.is_none() && other.classes == target.classes);
    asked.iter().map(|&place| both_sides(&plan.targets[place]).unwrap_or(place)).collect()
}

/// Whether everything in `narrow` is also in `wide`, another target.
pub fn contains(wide: &Target, narrow: &Target) -> bool {
    let classes = narrow.classes.iter().all(|class| wide.classes.contains(class));
    let side = wide.side.is_none() || wide.side == narrow.side;
    wide.name != narrow.name && classes && side
}

fn refused(plan: &Plan, problem: String) -> SegmentError {
    let known = plan.targets.iter().map(|target| format!("`{}`", target.name)).collect();
    SegmentError::Prompt { problem, known }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::plan;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_become_places_and_defaults_stand_in() {
        let plan = plan();
        assert_eq!(resolve(&[], &plan, true).unwrap(), [0, 1]);
        assert_eq!(resolve(&names(&["vein", "left artery"]), &plan, true).unwrap(), [1, 2]);
    }

    #[test]
    fn sides_are_answered_by_the_map_of_both() {
        let mut plan = plan();
        // artery, left artery, right artery, vessels
        assert_eq!(maps(&plan, &[0, 2, 3, 4]), [0, 0, 0, 4]);
        plan.targets.remove(0);
        assert_eq!(maps(&plan, &[1, 2]), [1, 2]);
    }

    #[test]
    fn refusals_say_what_is_known() {
        let plan = plan();
        let cases = [
            (vec!["aorta"], true, "no target"),
            (vec!["vein", "vein"], true, "two prompts"),
            (vec!["left artery"], false, "orientation"),
        ];
        for (list, oriented, word) in cases {
            let error = resolve(&names(&list), &plan, oriented).unwrap_err();
            assert_eq!(error.code(), "ERR_PROMPT");
            assert!(error.to_string().contains(word), "{error}");
        }
        let error = resolve(&names(&["aorta"]), &plan, true).unwrap_err();
        assert!(error.to_string().contains("`left artery`"), "{error}");
    }

    #[test]
    fn only_sides_in_doubt_are_refused() {
        let plan = plan();
        let warnings = ["CUT_LUNGS", "SIDES_UNCLEAR"].map(|code| Warning::new(code, ""));
        // artery, left artery
        assert!(refuse_unclear_sides(&[0, 2], &plan, &warnings[..1]).is_ok());
        assert!(refuse_unclear_sides(&[0], &plan, &warnings).is_ok());
        for code in ["SIDES_UNCLEAR", "ORIENTATION_UNCLEAR"] {
            let error = refuse_unclear_sides(&[0, 2], &plan, &[Warning::new(code, "")]).unwrap_err();
            assert_eq!(error.code(), "ERR_PROMPT");
            assert!(error.to_string().contains("`left artery`"), "{error}");
        }
    }

    #[test]
    fn vessels_contain_arteries_and_both_sides_contain_one() {
        let plan = plan();
        let target = |name: &str| &plan.targets[plan.target_index(name).unwrap()];
        assert!(contains(target("vessels"), target("artery")));
        assert!(contains(target("artery"), target("left artery")));
        assert!(!contains(target("left artery"), target("artery")));
        assert!(!contains(target("artery"), target("artery")));
        assert!(!contains(target("artery"), target("vein")));
    }
}
