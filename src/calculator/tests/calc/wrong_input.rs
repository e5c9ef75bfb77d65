//! Whatever is wrong is said, with what is allowed, and the exit status tells wrong arguments (2) from the pump's refusals (1).

use crate::attempt;

/// The status and the words of a line without an answer.
fn refusal(line: &str) -> (u8, String) {
    match attempt(line) {
        Ok((output, _)) => panic!("{line}: {}", output.text()),
        Err(refusal) => refusal,
    }
}

#[track_caller]
fn check(cases: &[(u8, &str, &str)]) {
    for (status, line, words) in cases {
        let (found, why) = refusal(line);
        assert_eq!(found, *status, "{line}: {why}");
        assert!(why.contains(words), "{line}: {why}");
    }
}

/// Requirement: AC-10
#[test]
fn rate() {
    check(&[
        (
            2,
            r#"rate --dose 2.5 --concentration "10 mg/mL""#,
            "the unit is missing: a dose rate is written",
        ),
        (
            2,
            r#"rate --dose "2.5 mg" --concentration "10 mg/mL""#,
            "the unit is that of a mass",
        ),
        (
            2,
            r#"rate --dose "2.5 mg/week" --concentration "10 mg/mL""#,
            "the unit is unknown",
        ),
        (
            2,
            r#"rate --dose "0 mg/day" --concentration "10 mg/mL""#,
            "a dose rate must be more than zero",
        ),
        (
            2,
            r#"rate --dose "2.5 mg/day" --concentration "0 mg/mL""#,
            "a concentration must be more than zero",
        ),
        (2, r#"rate --dose "2.5 mg/day""#, "--concentration"),
        (
            2,
            r#"rate --dose "2.5 mg/day" --concentration "10 mg/mL" --drug morfine"#,
            "the drug is unknown: write one of morphine",
        ),
        (
            2,
            r#"rate --dose "2.5 mg/day" --concentration "10 mg/mL" --fixed-rate "1 mL/day""#,
            "cannot be used with",
        ),
        (
            1,
            r#"rate --dose "0.4 mg/day" --concentration "10 mg/mL""#,
            "lowest therapeutic rate is 0.048 mL/day; at this concentration from 0.48 mg/day to 240 mg/day is possible",
        ),
        (
            1,
            r#"rate --dose "241 mg/day" --concentration "10 mg/mL""#,
            "highest rate is 24 mL/day",
        ),
        (
            1,
            r#"rate --dose "31 mg/day" --concentration "10 mg/mL" --drug morphine"#,
            "above the hard limit of 30 mg",
        ),
        (
            1,
            r#"rate --dose "2.5 mg/day" --fixed-rate "4 mL/day""#,
            "0.3 mL/day to 3.4 mL/day",
        ),
        (
            1,
            r#"rate --dose "2.5 mg/day" --concentration "10 mg/mL" --path "5 mL""#,
            "at most 4 mL",
        ),
    ]);
}

/// Requirement: AC-10
#[test]
fn prime() {
    check(&[
        (
            2,
            r#"prime --tubing 0.140 --length "81 cm" --per-cm "0.0022 mL""#,
            "the unit is missing",
        ),
        (
            2,
            r#"prime --tubing "0.140 ml" --length "81 cm" --per-cm "0.0022 mL""#,
            "the unit is unknown",
        ),
        (
            2,
            r#"prime --tubing "0 mL" --length "81 cm" --per-cm "0.0022 mL""#,
            "a volume must be more than zero",
        ),
        (
            2,
            r#"prime --tubing "0.140 mL" --length 81 --per-cm "0.0022 mL""#,
            "a length is written in cm",
        ),
        (
            2,
            r#"prime --tubing "0.140 mL" --length "81.05 cm" --per-cm "0.0022 mL""#,
            "at most one decimal",
        ),
        (
            2,
            r#"prime --tubing "0.140 mL" --length "0 cm" --per-cm "0.0022 mL""#,
            "a length must be more than zero",
        ),
        (
            2,
            r#"prime --tubing "0.140 mL" --length "32 cm" --trimmed "33 cm" --per-cm "0.0022 mL""#,
            "more was cut off",
        ),
        (
            2,
            r#"prime --tubing "0.140 mL" --length "81 cm" --per-cm "0.0022 mL" --drug morphium --concentration "10 mg/mL""#,
            "the drug is unknown",
        ),
        (
            2,
            r#"prime --tubing "0.140 mL" --length "81 cm" --per-cm "0.0022 mL" --drug morphine"#,
            "--concentration",
        ),
        (
            1,
            r#"prime --tubing "0.6 mL" --length "81 cm" --per-cm "0.0022 mL""#,
            "0.01 mL to 0.5 mL is allowed",
        ),
        (
            1,
            r#"prime --tubing "0.140 mL" --length "121 cm" --per-cm "0.0022 mL""#,
            "1 to 120 cm is allowed",
        ),
        (
            1,
            r#"prime --tubing "0.5 mL" --length "110 cm" --per-cm "0.0022 mL""#,
            "at most 0.6 mL",
        ),
    ]);
}

/// Requirement: AC-10
#[test]
fn bridge() {
    check(&[
        (
            2,
            r#"bridge --old "morphine 10" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --path "0.3182 mL""#,
            "the unit is missing",
        ),
        (
            2,
            r#"bridge --old "morphine" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --path "0.3182 mL""#,
            "write both, such as morphine 10 mg/mL",
        ),
        (
            2,
            r#"bridge --old "morphin 10 mg/mL" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --path "0.3182 mL""#,
            "the drug is unknown",
        ),
        (
            2,
            r#"bridge --old "morphine 10 mg/mL" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --path "0 mL""#,
            "more than zero",
        ),
        (
            2,
            r#"bridge --old "morphine 10 mg/mL" --new "hydromorphone 5 mg/mL" --dose "0.5 mg/day" --path "0.3182 mL""#,
            "say with --bridge-dose",
        ),
        (
            2,
            r#"bridge --old "morphine 10 mg/mL" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --path "0.3182 mL" --start 2026-01-05"#,
            "a date and a time of day",
        ),
        (
            2,
            r#"bridge --old "morphine 10 mg/mL" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --path "0.3182 mL" --zone 01:00"#,
            "with its sign",
        ),
        (
            1,
            r#"bridge --old "morphine 10 mg/mL" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --bridge-dose "0.4 mg/day" --path "0.3182 mL""#,
            "480 mcg/day",
        ),
        (
            1,
            r#"bridge --old "morphine 10 mg/mL, morphine 5 mg/mL" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --path "0.3182 mL""#,
            "twice",
        ),
        (
            1,
            r#"bridge --old "morphine 10 mg/mL" --new "morphine 60 mg/mL" --dose "5 mg/day" --path "0.3182 mL""#,
            "above the hard limit",
        ),
    ]);
}

/// Requirement: AC-10
#[test]
fn refill() {
    const DOSE: &str = r#"--dose "2.5 mg/day" --concentration "10 mg/mL""#;
    for (status, line, words) in [
        (2, "--fill 20", "the unit is missing"),
        (2, r#"--fill "20 L""#, "the unit is unknown"),
        (2, r#"--fill "0 mL""#, "a volume must be more than zero"),
        (
            2,
            r#"--fill "20 mL" --level "21 mL""#,
            "more than the 20 mL that were filled in",
        ),
        (2, r#"--fill "20 mL" --bolus "0.25 mg""#, "--boluses"),
        (
            2,
            r#"--fill "20 mL" --bolus "0.25 mg" --boluses 25"#,
            "25 is not in 1..=24",
        ),
        (2, r#"--fill "20 mL" --drug morfine"#, "the drug is unknown"),
        (
            2,
            r#"--fill "20 mL" --start "2026-02-30 10:00""#,
            "the calendar does not have this day",
        ),
        (
            2,
            r#"--fill "20 mL" --start "2026-01-05 24:00""#,
            "from 00:00 to 23:59",
        ),
        (
            2,
            r#"--fill "20 mL" --start "2100-01-01 10:00""#,
            "2020-01-01 to 2099-12-31",
        ),
        (1, r#"--fill "20.1 mL""#, "at most 20 mL"),
    ] {
        check(&[(status, &format!("refill {line} {DOSE}"), words)]);
    }
    check(&[
        (2, r#"refill --fill "20 mL""#, "--dose"),
        (
            2,
            r#"refill --fill "20 mL" --dose "2.5 mg/day""#,
            "--concentration",
        ),
        (
            1,
            r#"refill --fill "20 mL" --rate "0.047 mL/day""#,
            "lowest therapeutic rate",
        ),
    ]);
}

/// Requirement: AC-10
#[test]
fn flex() {
    for (status, pattern, words) in [
        (2, "00:00=15", "the unit is missing"),
        (2, "00:00=15 ug/h", "the unit is unknown"),
        (2, "00:00=0 mcg/h", "more than zero"),
        (2, "00:00", "a time of day and a dose"),
        (2, "0:00=15 mcg/h", "no time of day"),
        (2, "00:00=15 mcg/h, 24:00=20 mcg/h", "from 00:00 to 23:59"),
        (2, "mon-fri: 00:00=15 mcg/h", "Saturday is in no pattern"),
        (2, "monday: 00:00=15 mcg/h", "is no day"),
        (2, "fri-mon: 00:00=15 mcg/h", "goes backwards"),
        (
            2,
            "mon,mon-sun: 00:00=15 mcg/h",
            "Monday is in two patterns",
        ),
        (2, "00:00=15 mcg/h, 06:00=400 mcg/day", "over the same time"),
        (1, "06:00=15 mcg/h", "must be from 00:00"),
        (1, "00:00=15 mcg/h, 06:00=15 mcg/h", "a step must change it"),
        (
            1,
            "00:00=15 mcg/h, 06:00=3 mcg/h",
            "lowest therapeutic rate",
        ),
    ] {
        let line = format!(r#"flex --concentration "2000 mcg/mL" --pattern "{pattern}""#);
        check(&[(status, &line, words)]);
    }
    check(&[
        (2, r#"flex --pattern "00:00=15 mcg/h""#, "--concentration"),
        (
            2,
            r#"flex --concentration "2000 mcg/mL" --pattern "00:00=15 mcg/h" --drug baklofen"#,
            "the drug is unknown",
        ),
        (
            2,
            r#"flex --concentration "2000 mcg/mL" --pattern "00:00=15 mcg/h" --clock-error 20"#,
            "whole ppm",
        ),
        (
            1,
            r#"flex --concentration "2000 mcg/mL" --pattern "00:00=90 mcg/h" --drug baclofen"#,
            "above the hard limit of 2 mg",
        ),
    ]);
}

/// Requirement: AC-10
#[test]
fn mixture() {
    const MORPHINE: &str = r#"mixture --primary "morphine 10 mg/mL""#;
    for (status, line, words) in [
        (2, "--dose 2.5", "the unit is missing"),
        (2, r#"--dose "0 mg/day""#, "more than zero"),
        (2, r#"--rate "1 mL/min""#, "the unit is unknown"),
        (2, "", "--dose"),
        (
            2,
            r#"--dose "2.5 mg/day" --secondary "lidocaine 20 mg/mL""#,
            "the drug is unknown",
        ),
        (
            2,
            r#"--dose "2.5 mg/day" --cap "morphine 15 mg""#,
            "such as morphine=15 mg",
        ),
        (
            2,
            r#"--dose "2.5 mg/day" --cap "morphine=15 mg" --cap "morphine=14 mg""#,
            "two caps for morphine",
        ),
        (1, r#"--dose "2.5 mg/day" --cap "morphine=31 mg""#, "30 mg"),
        (
            1,
            r#"--dose "2.5 mg/day" --secondary "morphine 20 mg/mL""#,
            "twice",
        ),
        (1, r#"--dose "31 mg/day""#, "above the hard limit"),
    ] {
        check(&[(status, &format!("{MORPHINE} {line}"), words)]);
    }
}

/// Requirement: AC-10
#[test]
fn discrepancy() {
    check(&[
        (
            2,
            r#"discrepancy --fill 20 --expected "4.2 mL" --aspirated "2 mL""#,
            "the unit is missing",
        ),
        (
            2,
            r#"discrepancy --fill "20 mg" --expected "4.2 mL" --aspirated "2 mL""#,
            "the unit is that of a mass",
        ),
        (
            2,
            r#"discrepancy --fill "0 mL" --expected "4.2 mL" --aspirated "2 mL""#,
            "more than zero",
        ),
        (
            2,
            r#"discrepancy --fill "20 mL" --expected "20.1 mL" --aspirated "2 mL""#,
            "more than the 20 mL",
        ),
        (
            2,
            r#"discrepancy --fill "20 mL" --expected "20 mL" --aspirated "19 mL""#,
            "nothing was programmed out",
        ),
    ]);
}

/// Requirement: AC-10
#[test]
fn patient_bolus() {
    let line = |concentration: &str, bolus: &str, boluses: &str, lockout: &str, drug: &str| {
        format!(
            r#"patient-bolus --drug {drug} --concentration "{concentration}" --basal "2.5 mg/day" --bolus "{bolus}" --duration "10 min" --boluses {boluses} --lockout "{lockout}""#
        )
    };
    for (status, concentration, bolus, boluses, lockout, drug, words) in [
        (
            2,
            "10 mg/mL",
            "0.25",
            "4",
            "6 h",
            "morphine",
            "the unit is missing",
        ),
        (
            2,
            "10 mg/mL",
            "0 mg",
            "4",
            "6 h",
            "morphine",
            "more than zero",
        ),
        (
            2,
            "10 mg/mL",
            "0.25 mg",
            "4",
            "6 hours",
            "morphine",
            "the unit is unknown",
        ),
        (
            2,
            "10 mg/mL",
            "0.25 mg",
            "4",
            "6 h",
            "heroin",
            "the drug is unknown",
        ),
        (
            2,
            "10 mg/mL",
            "0.25 mg",
            "four",
            "6 h",
            "morphine",
            "invalid digit",
        ),
        (1, "10 mg/mL", "0.25 mg", "0", "6 h", "morphine", "24"),
        (1, "10 mg/mL", "0.25 mg", "25", "6 h", "morphine", "24"),
        (1, "10 mg/mL", "0.25 mg", "4", "25 h", "morphine", "25 h"),
        (1, "10 mg/mL", "5 mg", "4", "6 h", "morphine", ""),
    ] {
        check(&[(
            status,
            &line(concentration, bolus, boluses, lockout, drug),
            words,
        )]);
    }
}

#[test]
fn service_life() {
    check(&[
        (
            2,
            "service-life --implanted 15.1.2021",
            "a date is written year-month-day",
        ),
        (
            2,
            "service-life --implanted 2021-02-29",
            "the calendar does not have this day",
        ),
        (
            2,
            "service-life --implanted 2019-12-31",
            "2020-01-01 to 2099-12-31",
        ),
        (
            2,
            "service-life --implanted 2021-01-15 --eri 2020-01-15",
            "before the pump was implanted",
        ),
        (
            2,
            "service-life --implanted 2021-01-15 --life 7",
            "the unit is missing",
        ),
        (
            2,
            r#"service-life --implanted 2021-01-15 --life "0 days""#,
            "more than zero",
        ),
        (
            1,
            r#"service-life --implanted 2021-01-15 --life "89 days""#,
            "at least 90 days",
        ),
    ]);
}
