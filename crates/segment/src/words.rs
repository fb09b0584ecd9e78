//! From the user's words to names of targets.

use pulmoav_plan::Plan;
use pulmoav_text::Tower;

use crate::error::SegmentError;

/// The target each prompt means: the one whose name or prompt it is, else the one that the text tower takes it for.
///
/// The tower may be another model's: what it knows by a name that the plan has, it names here too.
///
/// # Errors
/// `ERR_PROMPT` for the first prompt that means nothing the model knows, with what it knows; what the tower returns.
pub fn targets_of(prompts: &[String], plan: &Plan, tower: Option<&Tower>) -> Result<Vec<String>, SegmentError> {
    let mut meant: Vec<Option<String>> = prompts.iter().map(|prompt| literal(prompt, plan)).collect();
    if let Some(tower) = tower {
        for (meant, resolution) in meant.iter_mut().zip(tower.resolve(prompts)?) {
            *meant = meant.take().or_else(|| resolution.target.map(str::to_owned));
        }
    }
    prompts
        .iter()
        .zip(meant)
        .map(|(prompt, name)| {
            name.filter(|name| plan.target_index(name).is_some()).ok_or_else(|| SegmentError::Prompt {
                problem: format!("`{prompt}` means nothing that this model knows"),
                known: plan.targets.iter().map(|target| format!("`{}`", target.name)).collect(),
            })
        })
        .collect()
}

/// The name of the target that the tower takes each prompt for; `None` where it is not sure.
///
/// # Errors
/// What the tower returns.
pub fn understood(prompts: &[String], tower: &Tower) -> Result<Vec<Option<String>>, SegmentError> {
    Ok(tower.resolve(prompts)?.into_iter().map(|resolution| resolution.target.map(str::to_owned)).collect())
}

fn literal(prompt: &str, plan: &Plan) -> Option<String> {
    let prompt = prompt.trim();
    let found = plan
        .targets
        .iter()
        .find(|target| target.name.eq_ignore_ascii_case(prompt) || target.prompt.eq_ignore_ascii_case(prompt));
    found.map(|target| target.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::plan;

    #[test]
    fn without_a_tower_names_and_prompts_are_known() {
        let plan = plan();
        let prompt = plan.targets[1].prompt.to_uppercase();
        assert_eq!(targets_of(&["Artery ".to_owned(), prompt], &plan, None).unwrap(), ["artery", "vein"]);
        let error = targets_of(&["liver".to_owned()], &plan, None).unwrap_err();
        assert_eq!(error.code(), "ERR_PROMPT");
        assert!(error.to_string().contains("liver") && error.to_string().contains("`left artery`"), "{error}");
    }
}
