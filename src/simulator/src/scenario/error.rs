//! What is wrong with a scenario, and where it stands in the file.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Longest value that is shown in an error.
const LONGEST_SHOWN: usize = 80;

/// Why a scenario cannot be run. Names the file, the line, the field, the value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    file: PathBuf,
    line: Option<usize>,
    field: String,
    reason: String,
}

impl ScenarioError {
    /// The field, as a path such as `program.dose` or `event[0].at`; empty for the file as a whole.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    pub(super) fn of_file(file: &Path, reason: impl fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            field: String::new(),
            reason: reason.to_string(),
        }
    }

    /// What the parser says, with the field it was reading.
    pub(super) fn of_parser(file: &Path, text: &str, field: &str, error: &toml::de::Error) -> Self {
        let (field, reason) = in_plain_words(field.trim_matches('.'), error.message());
        let span = error.span();
        Self {
            file: file.to_owned(),
            line: span.as_ref().map(|span| line_at(text, span.start)),
            reason: with_value(
                text,
                span.filter(|_| !reason.starts_with("unknown field")),
                &reason,
            ),
            field,
        }
    }

    /// What is wrong with a field that reads well by itself.
    pub(super) fn of_field(
        file: &Path,
        text: &str,
        field: &str,
        reason: impl fmt::Display,
    ) -> Self {
        let place = find(text, field);
        let exact = place
            .as_ref()
            .and_then(|place| place.exact.then(|| place.span.clone()));
        Self {
            file: file.to_owned(),
            line: place.map(|place| line_at(text, place.span.start)),
            field: field.to_owned(),
            reason: with_value(text, exact, &reason.to_string()),
        }
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(out, ", line {line}")?;
        }
        out.write_str(": ")?;
        if !self.field.is_empty() {
            write!(out, "{}: ", self.field)?;
        }
        out.write_str(&self.reason)
    }
}

impl std::error::Error for ScenarioError {}

/// Serde's message without serde's words; the field and its value are told beside it.
fn in_plain_words(field: &str, message: &str) -> (String, String) {
    let message = message.trim().replace('\n', "; ");
    let quoted = |start: &str| message.strip_prefix(start)?.split_once('`');
    if let Some((missing, _)) = quoted("missing field `") {
        let field = if field.is_empty() {
            missing.to_owned()
        } else {
            format!("{field}.{missing}")
        };
        return (field, "missing".to_owned());
    }
    let field = field.to_owned();
    if let Some((_, allowed)) = quoted("unknown field `") {
        return (field, format!("unknown field{allowed}"));
    }
    let wrong = ["invalid type: ", "invalid value: ", "unknown variant "];
    match message.split_once(", expected ") {
        Some((start, expected)) if wrong.iter().any(|wrong| start.starts_with(wrong)) => {
            (field, format!("expected {expected}"))
        }
        Some(_) | None => (field, message),
    }
}

/// The reason after the value as it is written, if that is short and not a table.
fn with_value(text: &str, span: Option<Range<usize>>, reason: &str) -> String {
    let value = span.and_then(|span| text.get(span)).map_or("", str::trim);
    let shown = (1..=LONGEST_SHOWN).contains(&value.len())
        && !value.contains('\n')
        && !value.starts_with(['[', '{']);
    if shown {
        format!("{value}: {reason}")
    } else {
        reason.to_owned()
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// Where a field stands, or the nearest table around one that is missing.
struct Place {
    span: Range<usize>,
    exact: bool,
}

fn find(text: &str, field: &str) -> Option<Place> {
    let root = DeTable::parse(text).ok()?;
    let mut table: Option<&DeTable<'_>> = Some(root.get_ref());
    let mut array: Option<&toml::de::DeArray<'_>> = None;
    let mut place = None;
    for part in field.split(['.', '[']) {
        let value = match part.strip_suffix(']') {
            Some(index) => array
                .take()
                .zip(index.parse().ok())
                .and_then(|(array, index): (_, usize)| array.get(index)),
            None => table.take().and_then(|table| table.get(part)),
        };
        let Some(value) = value else {
            return place.map(|place| Place {
                exact: false,
                ..place
            });
        };
        place = Some(Place {
            span: value.span(),
            exact: true,
        });
        match value.get_ref() {
            DeValue::Table(inner) => table = Some(inner),
            DeValue::Array(inner) => array = Some(inner),
            _ => {}
        }
    }
    place
}
