//! Labels and values in two columns.

/// Lines of text; a value of several lines stays in its column.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<(String, String)>);

impl Lines {
    pub(super) fn add(&mut self, label: impl Into<String>, value: impl Into<String>) {
        self.0.push((label.into(), value.into()));
    }

    pub(super) fn some(&mut self, label: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }

    pub(super) fn text(&self) -> String {
        let width = self
            .0
            .iter()
            .map(|(label, _)| label.chars().count())
            .max()
            .unwrap_or_default();
        let mut text = String::new();
        for (label, value) in &self.0 {
            for (number, line) in value.lines().enumerate() {
                let label = if number == 0 { label.as_str() } else { "" };
                text.push_str(&format!("{label:width$}  {line}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_their_column() {
        let mut lines = Lines::default();
        lines.add("Dose", "1\n2");
        lines.some("Reservoir", Some("3"));
        lines.some("Bridge", None::<&str>);
        assert_eq!(lines.text(), "Dose       1\n           2\nReservoir  3\n");
    }
}
