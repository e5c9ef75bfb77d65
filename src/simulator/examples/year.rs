//! How fast a year of therapy is simulated: flex with four patient boluses a day.
//!
//! `cargo run --release -p simulator --example year [DAYS]` prints motor steps a second.

use simulator::run::run;
use simulator::scenario::Scenario;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

fn main() -> anyhow::Result<()> {
    let days: u32 = match std::env::args().nth(1) {
        Some(days) => days.parse()?,
        None => 365,
    };
    let mut text = format!(
        r#"name = "year"
title = "A year of flex with four boluses a day"
duration = "{days} days"
sample_interval = "{days} days"
time = "2026-01-05T00:00:00Z"
[pump]
kind = "programmable-implant"
capacity = "40 mL"
[program]
drug = "morphine"
concentration = "20 mg/mL"
fill = "40 mL"
mode = "flex"
week = [{{ days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], steps = ["00:00 40 mcg/h", "08:00 80 mcg/h", "20:00 50 mcg/h"] }}]
patient_bolus = {{ dose = "100 mcg", over = "10 min", lockout = "4 h", per_day = 4 }}
"#
    );
    for hour in (6..24 * days).step_by(6) {
        writeln!(
            text,
            "[[event]]\nat = \"{hour} h\"\naction = \"patient bolus\"\n"
        )?;
    }
    let scenario = Scenario::parse(Path::new("year.toml"), &text)?;
    let began = Instant::now();
    let outcome = run(&scenario, |_| {})?;
    let took = began.elapsed();
    let steps = outcome
        .samples
        .last()
        .map_or(0, |sample| sample.turned_steps);
    println!(
        "{days} days, {steps} steps in {took:.1?}: {} steps/s",
        u128::from(steps) * 1_000 / took.as_millis().max(1)
    );
    Ok(())
}
