//! From the user's words to classes of a network that answers with classes.

use pulmoav_plan::{Class, ClassPlan};

use crate::error::SegmentError;

/// Words of the lungs' vessels, by which they are told from other vessels of the body.
const LUNG_WORDS: [&str; 2] = ["lung", "pulmon"];
/// The two kinds of vessels, as beginnings of words and as names of their own.
const KINDS: [(&str, &str, &[&str]); 2] =
    [("artery", "arter", &["artery", "arteries"]), ("vein", "vein", &["vein", "veins"])];

/// A prompt, and the classes it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedClasses {
    /// The user's words; a class's name where nothing was asked.
    pub prompt: String,
    /// Places among the plan's classes.
    pub classes: Vec<usize>,
}

/// The classes that each prompt means; every class by itself where nothing is asked.
///
/// A prompt means the class that it names; else the one class whose name holds all of its words and the fewest others;
/// else the classes of the vessels that a text tower took it for: `targets` names those (`artery`, `vein`, `vessels`, …),
/// one a prompt, `None` where the tower did not understand.
///
/// # Errors
/// `ERR_PROMPT` for a prompt that means nothing this model knows, for one with a side, and for two that mean one class.
pub fn classes_of(
    prompts: &[String],
    targets: &[Option<String>],
    plan: &ClassPlan,
) -> Result<Vec<AskedClasses>, SegmentError> {
    if prompts.is_empty() {
        let each = plan.classes.iter().enumerate();
        return Ok(each.map(|(at, class)| AskedClasses { prompt: class.name.clone(), classes: vec![at] }).collect());
    }
    let mut asked: Vec<AskedClasses> = Vec::with_capacity(prompts.len());
    for (at, prompt) in prompts.iter().enumerate() {
        let target = targets.get(at).and_then(Option::as_deref);
        let classes = match named(prompt, &plan.classes) {
            Some(class) => vec![class],
            None => vessels(prompt, target, plan)?,
        };
        if let Some(before) = asked.iter().find(|before| before.classes.iter().any(|class| classes.contains(class))) {
            let problem = format!("`{}` and `{prompt}` mean one class; ask for it once", before.prompt);
            return Err(refused(plan, problem));
        }
        asked.push(AskedClasses { prompt: prompt.clone(), classes });
    }
    Ok(asked)
}

/// The class that the prompt names, or whose name holds all of its words and the fewest others.
fn named(prompt: &str, classes: &[Class]) -> Option<usize> {
    let wanted = words(prompt);
    let extra = |class: &Class| {
        let own = words(&class.name);
        wanted.iter().all(|word| own.contains(word)).then(|| own.len() - wanted.len().min(own.len()))
    };
    let mut found: Vec<(usize, usize)> =
        classes.iter().enumerate().filter_map(|(at, class)| Some((extra(class)?, at))).collect();
    found.sort_unstable();
    match found.as_slice() {
        [(least, _), (next, _), ..] if least == next => None,
        [(_, at), ..] if !wanted.is_empty() => Some(*at),
        _ => None,
    }
}

fn words(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The classes of the vessels that the tower took a prompt for.
fn vessels(prompt: &str, target: Option<&str>, plan: &ClassPlan) -> Result<Vec<usize>, SegmentError> {
    let target = target.unwrap_or_default();
    if ["left", "right"].iter().any(|side| target.starts_with(side)) {
        let problem = format!("`{prompt}` means one side, and this model does not tell left from right");
        return Err(refused(plan, problem));
    }
    let kinds = KINDS.iter().filter(|(kind, ..)| target == *kind || target == "vessels");
    let classes: Vec<usize> = kinds.flat_map(|(_, stem, names)| of_kind(stem, names, &plan.classes)).collect();
    if classes.is_empty() {
        return Err(refused(plan, format!("`{prompt}` means nothing that this model knows")));
    }
    Ok(classes)
}

/// Classes of a kind of vessels in the lungs, or, where no name speaks of lungs, those called by the kind alone.
fn of_kind(stem: &str, names: &[&str], classes: &[Class]) -> Vec<usize> {
    let matching = |test: &dyn Fn(&[String]) -> bool| -> Vec<usize> {
        let each = classes.iter().enumerate().map(|(at, class)| (at, words(&class.name)));
        each.filter(|(_, words)| test(words)).map(|(at, _)| at).collect()
    };
    let begins = |words: &[String], stem: &str| words.iter().any(|word| word.starts_with(stem));
    let in_lungs = matching(&|words| begins(words, stem) && LUNG_WORDS.iter().any(|lung| begins(words, lung)));
    if in_lungs.is_empty() {
        matching(&|words| matches!(words, [only] if names.contains(&only.as_str())))
    } else {
        in_lungs
    }
}

fn refused(plan: &ClassPlan, problem: String) -> SegmentError {
    SegmentError::Prompt { problem, known: plan.classes.iter().map(|class| format!("`{}`", class.name)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::fixture::plan;

    fn known(names: &[&str]) -> ClassPlan {
        let class = |(at, name): (usize, &&str)| Class { name: (*name).to_owned(), value: at as u16 + 1 };
        ClassPlan { classes: names.iter().enumerate().map(class).collect(), ..plan() }
    }

    fn meant(prompt: &str, target: Option<&str>, plan: &ClassPlan) -> Result<Vec<usize>, String> {
        let asked = classes_of(&[prompt.to_owned()], &[target.map(str::to_owned)], plan);
        asked.map(|asked| asked[0].classes.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_prompt_means_the_class_it_names_or_the_vessels_it_is_taken_for() {
        let lungs = known(&["lung_airways", "lung_airways_wall", "lung_arteries", "lung_veins"]);
        assert_eq!(meant("Lung arteries", None, &lungs), Ok(vec![2]));
        // The class with the fewest other words.
        assert_eq!(meant("airways", None, &lungs), Ok(vec![0]));
        assert_eq!(meant("blue vessels", Some("vein"), &lungs), Ok(vec![3]));
        assert_eq!(meant("all of them", Some("vessels"), &lungs), Ok(vec![2, 3]));
        // Other vessels of the body are not the lungs'.
        let body = known(&["pulmonary_vein", "iliac_artery_left", "portal_vein_and_splenic_vein"]);
        assert_eq!(meant("blue vessels", Some("vein"), &body), Ok(vec![0]));
        assert!(meant("red vessels", Some("artery"), &body).is_err());
        assert_eq!(meant("red vessels", Some("artery"), &known(&["Artery", "Vein"])), Ok(vec![0]));
    }

    #[test]
    fn what_the_model_does_not_tell_apart_is_refused_with_what_it_does() {
        let lungs = known(&["lung_arteries", "lung_veins"]);
        for (prompt, target) in [("liver", None), ("left artery", Some("left artery")), ("", None), ("lung", None)] {
            let error = meant(prompt, target, &lungs).unwrap_err();
            assert!(error.contains("`lung_veins`"), "{error}");
        }
        let twice = ["lung veins".to_owned(), "lung_veins".to_owned()];
        assert_eq!(classes_of(&twice, &[], &lungs).unwrap_err().code(), "ERR_PROMPT");
        assert_eq!(classes_of(&[], &[], &lungs).unwrap().len(), 2);
    }
}
