//! What is found in a data set before anything is learnt from it.

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Must be mended: training would stop, or learn something wrong.
    Error,
    /// Should be looked at.
    Warning,
}

/// One thing to know of a data set or a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The case's name; `None` where it concerns the whole data set.
    pub case: Option<String>,
    /// A stable code.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Findings of one case, or of the whole data set.
#[derive(Debug, Clone)]
pub(crate) struct Findings {
    case: Option<String>,
    pub(crate) list: Vec<Finding>,
}

impl Findings {
    pub(crate) fn of_case(name: &str) -> Self {
        Self { case: Some(name.to_owned()), list: Vec::new() }
    }

    pub(crate) fn of_set() -> Self {
        Self { case: None, list: Vec::new() }
    }

    pub(crate) fn error(&mut self, code: &'static str, message: impl Into<String>, remedy: &'static str) {
        self.add(Severity::Error, code, message.into(), remedy);
    }

    pub(crate) fn warning(&mut self, code: &'static str, message: impl Into<String>, remedy: &'static str) {
        self.add(Severity::Warning, code, message.into(), remedy);
    }

    fn add(&mut self, severity: Severity, code: &'static str, message: String, remedy: &'static str) {
        self.list.push(Finding { case: self.case.clone(), code, severity, message, remedy });
    }
}
