//! Tests that write docs/messages.md and docs/roles.md from the types, their documentation and the table of roles, and hold the kept pages
//! against them. `THECAL_WRITE_DOCS=1 cargo test -p protocol documentation` writes them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use postcard_schema::schema::{DataModelType, DataModelVariant, NamedType, NamedValue};

use crate::client::Fate;
use crate::info::capability;
use crate::message::WhenUnknown;
use crate::roles::{Alarm, Presence, Role, TABLE};
use crate::schema::{ROOTS, largest, reference};
use crate::status::{changed, fault};
use crate::vectors::{Line, answers, open_words, requests, variant};
use crate::{Amount, CommandKind, FlexStep, Lifecycle, SCHEMA_HASH, VERSION, samples};

/// Where a thing's documentation is found: `Type`, `Type.field`, `Type.Variant`, `Type.Variant.field`.
type Texts = BTreeMap<String, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn source_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["src/protocol/src", "src/units/src"]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// Reads the documentation of every type, field and variant, as far as the way we lay out our sources goes. What it does not find, it
/// does not find aloud: see [`Page::text`].
fn read_texts() -> Texts {
    let mut texts = Texts::new();
    for path in source_files() {
        let source = std::fs::read_to_string(path).unwrap();
        let code = source.split("\nmod tests {").next().unwrap();
        let code = code
            .split("\nmacro_rules!")
            .fold(String::new(), |all, part| {
                // A macro's own text is not a type's; it ends with a brace at the margin.
                let text = if all.is_empty() {
                    part
                } else {
                    part.split_once("\n}\n").unwrap().1
                };
                all + text + "\n"
            });
        read_source(&code, &mut texts);
    }
    // Types that write themselves have no fields of which the documentation could be read.
    let by_hand = [
        (
            "FlexStep.lasts_min",
            "How long it lasts, in min; 0 is refused by the pump.",
        ),
        (
            "FlexStep.dose_ng",
            "Its dose, in ng per `FlexWeek::per`; 0: minimum rate.",
        ),
        ("Amount", "A number whose unit `LimitKind` fixes."),
    ];
    texts.extend(by_hand.map(|(name, text)| (name.to_string(), text.to_string())));
    texts
}

/// The bound of a number that is narrower than its type: a message with a higher one cannot be decoded.
fn bound(place: &str) -> String {
    let most = match place {
        "FlexStep.lasts_min" => u64::from(FlexStep::LONGEST_MIN),
        "FlexStep.dose_ng" => u64::from(FlexStep::LARGEST_NG),
        "Amount" => Amount::LARGEST.get(),
        _ => return String::new(),
    };
    format!(", at most {most}")
}

fn word(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let end = line.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    let word = &line[..end.unwrap_or(line.len())];
    (!word.is_empty()).then_some(word)
}

fn read_source(code: &str, texts: &mut Texts) {
    let mut comment = String::new();
    let mut scope: Option<String> = None;
    let mut within: Option<String> = None;
    // The macro in which our lists of names stand: one level deeper.
    let mut shift = 0;
    let mut attribute = false;
    for whole in code.lines() {
        let line = whole.trim_start();
        attribute |= line.starts_with("#[");
        if attribute {
            attribute = !line.ends_with(']');
            continue;
        }
        let depth = (whole.len() - line.len()).saturating_sub(shift);
        if let Some(text) = line.strip_prefix("///") {
            if !comment.is_empty() {
                comment.push(' ');
            }
            comment.push_str(text.trim());
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let said = tidy(&core::mem::take(&mut comment));
        let at_margin = whole.len() == line.len();
        if at_margin {
            shift = 0;
            within = None;
            scope = if line == "commands! {" {
                texts.insert("Command".into(), "What a phone can ask of the pump.".into());
                Some("Command".into())
            } else if line == "identifiers! {" {
                shift = 4;
                None
            } else {
                let rest = line
                    .strip_prefix("pub struct ")
                    .or_else(|| line.strip_prefix("pub enum "));
                let name = rest.and_then(word).map(ToString::to_string);
                if let Some(name) = &name {
                    texts.insert(name.clone(), said);
                }
                name.filter(|_| line.ends_with('{'))
            };
            continue;
        }
        if shift > 0 && depth == 0 {
            scope = word(line).map(ToString::to_string);
            if let Some(name) = &scope {
                texts.insert(name.clone(), said);
            }
            continue;
        }
        let (Some(scope), Some(name)) = (&scope, word(line)) else {
            continue;
        };
        let place = match (depth, &within) {
            (4, _) => format!("{scope}.{name}"),
            (8, Some(outer)) => format!("{outer}.{name}"),
            _ => continue,
        };
        if depth == 4 {
            within = line.ends_with('{').then(|| place.clone());
        }
        texts.insert(place, said);
    }
}

/// Documentation as plain Markdown: links within the crate become names, and nothing ends a table's cell.
fn tidy(text: &str) -> String {
    text.replace("\\[", "[")
        .replace("\\]", "]")
        .replace("[`", "`")
        .replace("`]", "`")
        .replace("crate::", "")
        .replace("client::", "")
        .replace('|', "\\|")
}

struct Page {
    texts: Texts,
    seen: BTreeSet<&'static str>,
    out: String,
    missing: Vec<String>,
}

impl Page {
    fn text(&mut self, name: &str) -> String {
        match self.texts.get(name).filter(|text| !text.is_empty()) {
            Some(text) => text.clone(),
            None => {
                self.missing.push(name.to_string());
                String::new()
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn heading(&mut self, named: &NamedType) {
        let text = self.text(named.name);
        let most = largest(named);
        let bytes = if most == 1 {
            "1 byte".into()
        } else {
            format!("at most {most} bytes")
        };
        self.say(&format!("### {}\n\n{text} ({bytes})\n", named.name));
    }

    fn fields(&mut self, of: &str, fields: &[&NamedValue]) {
        self.say("| field | type | |\n|---|---|---|");
        for field in fields {
            let place = format!("{of}.{}", field.name);
            let text = self.text(&place);
            self.say(&format!(
                "| `{}` | {}{} | {text} |",
                field.name,
                kind(field.ty),
                bound(&place)
            ));
        }
        self.say("");
    }

    /// Writes the section of `named` and, before it, those of all types it refers to.
    fn describe(&mut self, named: &NamedType) {
        if has_section(named) && !self.seen.insert(named.name) {
            return;
        }
        match named.ty {
            DataModelType::Option(inner) | DataModelType::Seq(inner) => self.describe(inner),
            DataModelType::Tuple(items) => items.iter().for_each(|item| self.describe(item)),
            DataModelType::NewtypeStruct(inner) => {
                self.describe(inner);
                self.heading(named);
                self.say(&format!("As {}{}.\n", kind(inner), bound(named.name)));
            }
            DataModelType::Struct(values) => {
                values.iter().for_each(|value| self.describe(value.ty));
                self.heading(named);
                self.fields(named.name, values);
            }
            DataModelType::Enum(variants) => {
                for variant in variants.iter() {
                    match variant.ty {
                        DataModelVariant::UnitVariant => {}
                        DataModelVariant::NewtypeVariant(inner) => self.describe(inner),
                        DataModelVariant::StructVariant(values) => {
                            values.iter().for_each(|value| self.describe(value.ty));
                        }
                        DataModelVariant::TupleVariant(_) => panic!("fields need names"),
                    }
                }
                self.heading(named);
                self.say("| number | name | followed by | |\n|---|---|---|---|");
                for (number, variant) in variants.iter().enumerate() {
                    let place = format!("{}.{}", named.name, variant.name);
                    let text = self.text(&place);
                    let holds = match variant.ty {
                        DataModelVariant::NewtypeVariant(inner) => kind(inner),
                        DataModelVariant::StructVariant(values) => {
                            let parts: Vec<String> = values
                                .iter()
                                .map(|value| {
                                    let text = self.text(&format!("{place}.{}", value.name));
                                    format!("`{}` {}: {text}", value.name, kind(value.ty))
                                })
                                .collect();
                            parts.join("<br>")
                        }
                        _ => String::new(),
                    };
                    self.say(&format!(
                        "| {number} | `{}` | {holds} | {text} |",
                        variant.name
                    ));
                }
                self.say("");
            }
            _ => {}
        }
    }

    /// What the bits of a number stand for.
    fn flags(&mut self, of: &str, all: &[(impl Into<u32> + Copy, &str)]) {
        if !self.out.contains("## Flags") {
            self.say("## Flags\n");
        }
        self.say(&format!("### {of}\n\n| bit | |\n|---|---|"));
        for (flag, text) in all {
            let flag: u32 = (*flag).into();
            self.say(&format!("| {} | {text} |", flag.trailing_zeros()));
        }
        self.say("");
    }

    fn examples(&mut self, title: &str, lines: Vec<Line>) {
        self.say(&format!("### {title}\n\n```text"));
        for (name, hex) in lines {
            if !name.contains("largest") {
                self.say(&format!("{name}\n    {}", wrapped(&hex)));
            }
        }
        self.say("```\n");
    }
}

/// Whether a type has a section of its own.
fn has_section(named: &NamedType) -> bool {
    matches!(
        named.ty,
        DataModelType::NewtypeStruct(_) | DataModelType::Struct(_) | DataModelType::Enum(_)
    )
}

/// The name of a type in a table; one with a section of its own is a link.
fn kind(named: &NamedType) -> String {
    let text = reference(named);
    let inner = match named.ty {
        DataModelType::Option(inner) | DataModelType::Seq(inner) => inner,
        _ => named,
    };
    if has_section(inner) {
        let link = format!("[{}](#{})", inner.name, inner.name.to_lowercase());
        text.replacen(inner.name, &link, 1)
    } else {
        text
    }
}

fn wrapped(hex: &str) -> String {
    let mut out = String::new();
    for (at, digit) in hex.char_indices() {
        if at > 0 && at % 96 == 0 {
            out.push_str("\n    ");
        }
        out.push(digit);
    }
    out
}

fn messages() -> String {
    let mut page = Page {
        texts: read_texts(),
        seen: BTreeSet::new(),
        out: String::new(),
        missing: Vec::new(),
    };
    page.say(&format!(
        "# Messages of protocol version {VERSION}

Written from src/protocol by its tests (`THECAL_WRITE_DOCS=1 cargo test -p protocol documentation`); do not edit. How they travel, and how the types
below become bytes, stands in [protocol.md](protocol.md). Schema hash: `{SCHEMA_HASH:016x}`.

A field's name bears its unit: `_ng` nanograms, `_nl` nanolitres, `_fl` femtolitres, `_ng_per_ml` nanograms per millilitre, `_nl_per_day`
nanolitres a day, `_s` seconds, `_ms` milliseconds, `_min` minutes, `_h` hours, `_mm` millimetres, `_day` days since 2020-01-01, `_tenths_percent`
tenths of a percent.

Of a type with fields, the fields follow one another in the order of its table; so does what a name is \"followed by\". A number whose type says \"at most\" is
refused above that as one that does not exist (`Undecodable`). Every other value of a type is a valid message, also where the text beside it
names a range: whether it makes a prescription is for the pump to decide, which answers `OutOfRange` with the field, the value and the range, or
`OverLimit` with the limit. Examples of numbers (\"48,000 on implants\") bind nobody.

## Types
"
    ));
    for root in ROOTS {
        page.describe(root);
    }
    page.flags("capabilities", &capability::ALL);
    page.flags("status_changed, mask and flags", &changed::ALL);
    page.flags("faults", &fault::ALL);
    page.say("## Examples\n\nAll of these, and the largest ones, are in `src/protocol/vectors/v1` too.\n");
    page.examples(
        "Requests: what is inside of the seal, with id 7, and number 42 where there is one",
        requests(),
    );
    page.examples("Answers: what is inside of the seal, with id 7", answers());
    page.examples(
        "Info, the content of Welcome, the body of Denied, the emergency card",
        open_words(),
    );
    assert!(
        page.missing.is_empty(),
        "without documentation that can be found: {:?}",
        page.missing
    );
    page.out.truncate(page.out.trim_end().len());
    page.out.push('\n');
    page.out
}

/// What a role may do with a command, in words.
fn permission(role: Role, command: CommandKind) -> String {
    let rules = TABLE
        .iter()
        .filter(|rule| rule.role == role && rule.commands.contains(&command));
    let cells: Vec<String> = rules
        .map(|rule| {
            let lifecycles: Vec<&str> = rule.lifecycles.iter().map(|one| one.name()).collect();
            let mut conditions = Vec::new();
            if rule.lifecycles.len() != Lifecycle::ALL.len() {
                conditions.push(lifecycles.join(" or "));
            }
            if rule.presence == Presence::Required {
                conditions.push("presence".into());
            }
            if rule.alarm == Alarm::NoneCritical {
                conditions.push("no critical alarm".into());
            }
            if conditions.is_empty() {
                "yes".into()
            } else {
                conditions.join(", ")
            }
        })
        .collect();
    if cells.is_empty() {
        "-".into()
    } else {
        cells.join("; or ")
    }
}

fn roles() -> String {
    let mut out = String::from(
        "# Who may do what

Written from the table in src/protocol/src/roles.rs by its tests (`THECAL_WRITE_DOCS=1 cargo test -p protocol documentation`); do not edit. Whatever
is not in it is denied: `-`. \"yes\" means in every lifecycle, with or without presence, with or without a critical alarm; otherwise the conditions are named, and
all of them have to hold. What a session may not do is refused with `NotAllowed` and what stands in the way.

A session in the role enrolling or emergency is opened, and stays open, only while the presence window is. What the pump bounds beyond the table
(a patient moves the time zone by an hour and ends no bolus but the patient's own) stands with the commands in [messages.md](messages.md), which has the numbers and names of this table's commands too. The column \"command number\" says whether
a request with it bears one, above the last of its key, or 0 ([protocol.md](protocol.md), \"Requests and answers\").

| number | command |",
    );
    for role in Role::ALL {
        out.push_str(&format!(" {role} |"));
    }
    out.push_str(" command number | when its fate is unknown |\n|---|---|");
    out.push_str(&"---|".repeat(Role::ALL.len() + 2));
    out.push('\n');
    for (place, command) in CommandKind::ALL.iter().enumerate() {
        // The words, where the name in messages.md is not the same words.
        let words: String = command.to_string().replace(' ', "");
        let words = if words.eq_ignore_ascii_case(&format!("{command:?}")) {
            String::new()
        } else {
            format!(", {command}")
        };
        out.push_str(&format!("| {place} | `{command:?}`{words} |"));
        for role in Role::ALL {
            out.push_str(&format!(" {} |", permission(role, *command)));
        }
        let number = if command.is_numbered() { "yes" } else { "0" };
        let unknown = match command.when_unknown() {
            WhenUnknown::Repeat => "send again",
            WhenUnknown::AskStatus => "read the status",
            WhenUnknown::AskTherapy => "read the therapy status",
        };
        out.push_str(&format!(" {number} | {unknown} |\n"));
    }
    out.push_str("\n## What an answer says about the command\n\n| fate | outcomes |\n|---|---|\n");
    let mut fates: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let refused = samples::refusals().into_iter().map(crate::Outcome::Refused);
    let plain = samples::outcomes()
        .into_iter()
        .filter(|outcome| !matches!(outcome, crate::Outcome::Refused(_)));
    for outcome in plain.chain(refused) {
        let name = match &outcome {
            crate::Outcome::Refused(refused) => format!("Refused: {}", variant(refused)),
            other => variant(other),
        };
        let fate = match outcome.fate() {
            Fate::Done => "done",
            Fate::CertainlyNot => "certainly not done",
            Fate::Unknown => "unknown: perhaps done then, not now",
        };
        let names = fates.entry(fate).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for (fate, names) in fates {
        out.push_str(&format!("| {fate} | {} |\n", names.join(", ")));
    }
    out
}

fn hold(file: &str, page: &str) {
    let path = root().join("docs").join(file);
    if std::env::var_os("THECAL_WRITE_DOCS").is_some() {
        std::fs::write(path, page).unwrap();
    } else {
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == page,
            "docs/{file} is not what the code says: THECAL_WRITE_DOCS=1 cargo test -p protocol documentation"
        );
    }
}

#[test]
fn documentation_of_messages_is_what_the_code_says() {
    hold("messages.md", &messages());
}

#[test]
fn documentation_of_roles_is_what_the_table_says() {
    hold("roles.md", &roles());
}

#[test]
fn documentation_is_read_from_the_sources() {
    let texts = read_texts();
    assert_eq!(
        texts["Welcome.last_number"],
        "The number of its last command, on whatever connection: the next one is above it."
    );
    assert_eq!(
        texts["Denied.Repeated.last"],
        "The highest counter of this session."
    );
}
