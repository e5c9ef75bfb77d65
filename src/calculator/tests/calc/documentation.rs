//! docs/calc.md shows what the tool really says, and every `--help` an example that works.

use std::path::Path;

use clap::CommandFactory;

use crate::{CommandLine, attempt};

const PROMPT: &str = "$ thecal calc ";

fn page() -> (std::path::PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/calc.md");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// Every line that docs/calc.md shows with an answer.
pub fn examples() -> Vec<String> {
    let lines = page().1;
    let lines = lines.lines().filter_map(|line| line.strip_prefix(PROMPT));
    lines
        .filter(|line| attempt(line).is_ok())
        .map(str::to_owned)
        .collect()
}

/// What a line prints, errors included.
fn printed(line: &str) -> String {
    match attempt(line) {
        Ok((output, json)) => output.render(json),
        Err((_, why)) => format!("error: {}\n", why.trim_start_matches("error: ").trim_end()),
    }
}

/// The page with every answer as it is now.
fn answered(page: &str) -> String {
    let mut answered = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        answered.push_str(line);
        answered.push('\n');
        if let Some(line) = line.strip_prefix(PROMPT) {
            answered.push_str(&printed(line));
            for skipped in lines.by_ref() {
                if skipped.starts_with("```") {
                    answered.push_str("```\n");
                    break;
                }
            }
        }
    }
    answered
}

/// Run with `THECAL_WRITE_DOCS=1` to write the answers into the page.
#[test]
fn the_page_shows_what_is_printed() {
    let (path, page) = page();
    let answered = answered(&page);
    if std::env::var_os("THECAL_WRITE_DOCS").is_some() {
        std::fs::write(path, answered).unwrap();
    } else {
        assert!(
            page == answered,
            "docs/calc.md is not what is printed: run with THECAL_WRITE_DOCS=1"
        );
    }
}

#[test]
fn every_help_has_an_example_that_works() {
    let command = CommandLine::command();
    let mut examples = 0;
    for calculation in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let help = calculation.get_after_help().unwrap().to_string();
        let line = help.strip_prefix("Example: thecal calc ").unwrap();
        assert!(line.starts_with(calculation.get_name()), "{line}");
        if let Err((_, why)) = attempt(line) {
            panic!("{line}: {why}");
        }
        examples += 1;
    }
    assert_eq!(examples, 9);
}
