//! Section 2 of the clinical reference, to the digit.

use crate::{answer, get, get_of};

/// The warnings of an answer, as one text.
fn warnings(output: &calculator::Output) -> String {
    output.json()["warnings"].to_string()
}

/// 0.250 mL/day = 10.4167 uL/h = 0.17361 uL/min.
///
/// Requirement: CALC-1
#[test]
fn example_2_1_dose_and_rate() {
    let output = answer(r#"rate --dose "2.5 mg/day" --concentration "10 mg/mL" --drug morphine"#);
    assert_eq!(get(&output, "rate"), "0.25 mL/day");
    assert_eq!(get(&output, "rate_per_hour"), "125/12 = about 10.4167 uL/h");
    assert_eq!(
        get(&output, "rate_per_minute"),
        "25/144 = about 0.17361 uL/min"
    );
    assert!(output.text().contains("about 10.4167 uL/h"));
    assert!(
        output
            .text()
            .contains("rate = dose / concentration = 2.5 mg/day / 10 mg/mL = 0.25 mL/day")
    );
}

/// The lowest doses that the minimum therapeutic rate implies (clinical reference, 1.3).
///
/// Requirement: CALC-1
#[test]
fn example_1_3_lowest_dose() {
    for (dose, concentration, drug, lowest) in [
        ("2.5 mg/day", "25 mg/mL", "morphine", "1.2 mg/day"),
        ("200 mcg/day", "2000 mcg/mL", "baclofen", "96 mcg/day"),
        ("1.2 mcg/day", "25 mcg/mL", "ziconotide", "1.2 mcg/day"),
    ] {
        let output = answer(&format!(
            r#"rate --dose "{dose}" --concentration "{concentration}" --drug {drug}"#
        ));
        assert_eq!(get(&output, "lowest_dose"), lowest);
    }
}

/// The prime of the reference case, the old tubing volume, and Prometra's catheter.
///
/// Requirement: CALC-2
#[test]
fn example_2_2_priming_bolus() {
    const CASE: &str =
        r#"--length "81.0 cm" --per-cm "0.0022 mL" --drug morphine --concentration "10 mg/mL""#;
    let output = answer(&format!(
        r#"prime --tubing "0.140 mL" {CASE} --other-tubing "0.199 mL" --dose "2.5 mg/day""#
    ));
    assert_eq!(get(&output, "volume"), "0.3182 mL");
    assert_eq!(get(&output, "catheter_volume"), "0.1782 mL");
    assert_eq!(get_of(&output, "contents", "morphine"), "3.182 mg");
    assert_eq!(get(&output, "duration"), "1145.52 s");
    assert!(output.text().contains("19 min 5.5 s"));
    assert_eq!(get_of(&output, "counted_dose", "morphine"), "0 mg");
    assert!(warnings(&output).contains("Up to 3.182 mg of morphine may reach the patient early"));
    assert_eq!(get(&output, "other_volume"), "0.3772 mL");
    assert_eq!(get(&output, "difference"), "+0.059 mL");
    assert_eq!(get_of(&output, "difference_mass", "morphine"), "+0.59 mg");
    // 24 % in whole per cent.
    assert_eq!(get(&output, "difference_share"), "23.6 %");
    // 2.10: its steps.
    assert_eq!(get(&output, "steps"), "127280 steps");

    let pump = answer(&format!(r#"prime --what pump --tubing "0.140 mL" {CASE}"#));
    assert_eq!(get(&pump, "volume"), "0.14 mL");
    // Decided in therapy.md: what leaves the filled catheter is a dose.
    assert_eq!(get_of(&pump, "counted_dose", "morphine"), "1.4 mg");
    let aspirated = answer(&format!(
        r#"prime --what pump --aspirated --tubing "0.140 mL" {CASE}"#
    ));
    assert_eq!(get_of(&aspirated, "counted_dose", "morphine"), "0 mg");
    let catheter = answer(&format!(
        r#"prime --what catheter --tubing "0.140 mL" {CASE}"#
    ));
    assert_eq!(get(&catheter, "volume"), "0.1782 mL");

    let prometra = answer(
        r#"prime --what catheter --tubing "0.14 mL" --length "110 cm" --trimmed "32 cm" --per-cm "0.0026 mL""#,
    );
    assert_eq!(get(&prometra, "volume"), "0.2028 mL");
}

/// Twice the concentration: 30 h 32 min 50 s at 0.250 mL/day, 50 % without a bridge.
///
/// Requirement: CALC-3
#[test]
fn example_2_3_bridge_to_twice_the_concentration() {
    let output = answer(
        r#"bridge --old "morphine 10 mg/mL" --new "morphine 20 mg/mL" --dose "2.5 mg/day" --path "0.3182 mL" --residual "1.4 mL" --fill "18.6 mL" --rinses 1"#,
    );
    assert_eq!(get(&output, "bridge_rate"), "0.25 mL/day");
    assert_eq!(get(&output, "bridge_duration"), "109969.92 s");
    assert!(output.text().contains("30 h 32 min 50 s (1.2728 days)"));
    assert_eq!(get_of(&output, "bridge_content", "morphine"), "3.182 mg");
    assert_eq!(get(&output, "rate_after"), "0.125 mL/day");
    assert_eq!(get_of(&output, "unbridged_dose", "morphine"), "1.25 mg/day");
    assert_eq!(get(&output, "unbridged_share"), "50 %");
    assert_eq!(get(&output, "unbridged_duration"), "219939.84 s");
    assert!(output.text().contains("(2.5456 days)"));
    assert_eq!(get(&output, "mixed_concentration"), "19.3 mg/mL");
    assert_eq!(get(&output, "mixed_error"), "-3.5 %");
    assert_eq!(get(&output, "mixed_error_after_rinses"), "-0.245 %");
}

/// Half the concentration: the deadly direction.
///
/// Requirement: CALC-3
#[test]
fn example_2_3_bridge_to_half_the_concentration() {
    let output = answer(
        r#"bridge --old "morphine 20 mg/mL" --new "morphine 10 mg/mL" --dose "2.5 mg/day" --path "0.3182 mL" --start "2026-01-05 10:00" --zone +01:00"#,
    );
    assert_eq!(get(&output, "bridge_rate"), "0.125 mL/day");
    assert!(output.text().contains("61 h 5 min 40 s (2.5456 days)"));
    assert_eq!(
        get(&output, "bridge_end"),
        "2026-01-07T23:05:39+01:00 date-time"
    );
    assert_eq!(get(&output, "rate_after"), "0.25 mL/day");
    assert_eq!(get_of(&output, "unbridged_dose", "morphine"), "5 mg/day");
    assert_eq!(get(&output, "unbridged_share"), "200 %");
    // 30.55 h.
    assert_eq!(get(&output, "unbridged_duration"), "109969.92 s");
    assert!(warnings(&output).contains("deadly direction"));
}

/// Another drug: the old one is given meanwhile, none of the new one.
///
/// Requirement: CALC-3
#[test]
fn example_2_3_bridge_to_another_drug_or_none() {
    let output = answer(
        r#"bridge --old "morphine 10 mg/mL" --new "hydromorphone 5 mg/mL" --dose "0.5 mg/day" --bridge-dose "2.5 mg/day" --path "0.3182 mL""#,
    );
    assert_eq!(get(&output, "bridge_rate"), "0.25 mL/day");
    assert_eq!(get_of(&output, "bridge_content", "morphine"), "3.182 mg");
    assert_eq!(get_of(&output, "bridge_content", "hydromorphone"), "0 mg");
    let dose_only = answer(
        r#"bridge --old "morphine 10 mg/mL" --new "morphine 10 mg/mL" --dose "5 mg/day" --path "0.3182 mL""#,
    );
    assert_eq!(get(&dose_only, "bridge"), "not needed word");
    assert_eq!(get(&dose_only, "rate_after"), "0.5 mL/day");
    assert!(warnings(&dose_only).contains("the tip sees the new rate at once"));
}

/// Three dates, three ways, and their alarm instants.
///
/// Requirement: CALC-4
#[test]
fn example_2_4_refill_dates() {
    let output = answer(
        r#"refill --fill "20.0 mL" --low-mark "2.0 mL" --dose "2.5 mg/day" --concentration "10 mg/mL" --bolus "0.25 mg" --boluses 4 --start "2026-01-05 10:00""#,
    );
    assert_eq!(get(&output, "basal_rate"), "0.25 mL/day");
    assert_eq!(get(&output, "rate_with_boluses"), "0.35 mL/day");
    assert_eq!(get_of(&output, "time_to_alarm", "basal_only"), "6220800 s");
    assert!(output.text().contains("72 days"));
    assert!(output.text().contains("(about 51.43 days)"));
    assert!(output.text().contains("(about 44.92 days)"));
    for (way, date) in [
        ("basal_only", "2026-03-18 date"),
        ("with_boluses", "2026-02-25 date"),
        ("worst_case", "2026-02-18 date"),
    ] {
        assert_eq!(get_of(&output, "refill_by", way), date);
        assert_eq!(get_of(&output, "refill_by_limit", way), "low mark word");
    }
    assert!(output.text().contains("2026-02-25 20:17"));
    assert!(output.text().contains("2026-02-19 07:58"));
    assert_eq!(get(&output, "book"), "2026-02-25 date");
    let high = answer(
        r#"refill --fill "20 mL" --dose "2.5 mg/day" --concentration "10 mg/mL" --bolus "0.25 mg" --boluses 4 --start "2026-01-05 10:00" --last-ratio-high"#,
    );
    assert_eq!(get(&high, "book"), "2026-02-18 date");
}

/// The drug keeps 14 days after a first fill of ziconotide, and ERI comes before 72 days.
///
/// Requirement: CALC-4
#[test]
fn example_2_4_refill_dates_are_capped() {
    let ziconotide = answer(
        r#"refill --fill "20 mL" --dose "1.5 mcg/day" --concentration "25 mcg/mL" --drug ziconotide --first-fill --start "2026-01-05 10:00""#,
    );
    assert_eq!(get(&ziconotide, "stable_until"), "2026-01-19 date");
    assert_eq!(
        get_of(&ziconotide, "refill_by", "basal_only"),
        "2026-01-19 date"
    );
    assert_eq!(
        get_of(&ziconotide, "refill_by_limit", "basal_only"),
        "stability word"
    );
    let replaced = answer(
        r#"refill --fill "20 mL" --dose "2.5 mg/day" --concentration "10 mg/mL" --start "2026-01-05 10:00" --eri 2026-02-01"#,
    );
    assert_eq!(get(&replaced, "book"), "2026-02-01 date");
}

/// 15.29 d to the alarm, 5.71 d from there to empty, 21.0 d in all.
///
/// Requirement: CALC-5
#[test]
fn example_2_5_days_to_alarm_and_empty() {
    let output = answer(
        r#"refill --fill "20 mL" --level "7.35 mL" --dose "2.5 mg/day" --concentration "10 mg/mL" --bolus "0.25 mg" --boluses 4"#,
    );
    let text = output.text();
    assert!(text.contains("(about 15.29 days)"), "{text}");
    assert!(text.contains("(about 5.71 days)"), "{text}");
    assert_eq!(
        get_of(&output, "time_to_empty", "with_boluses"),
        "1814400 s"
    );
    assert!(text.contains("21 days"), "{text}");
}

const WEEKDAY: &str =
    "00:00=15 mcg/h, 06:00=40 mcg/h, 09:00=20 mcg/h, 18:00=30 mcg/h, 22:00=15 mcg/h";

/// 540 mcg on weekdays, 500 at weekends: 3,700 a week.
///
/// Requirement: CALC-6
#[test]
fn example_2_6_flex_schedule() {
    let every_day = answer(&format!(
        r#"flex --concentration "2000 mcg/mL" --drug baclofen --pattern "{WEEKDAY}""#
    ));
    assert_eq!(get_of(&every_day, "day_total", "Monday"), "540 mcg/day");
    assert_eq!(get(&every_day, "mean_rate"), "0.27 mL/day");
    assert_eq!(get(&every_day, "mean_hour"), "22.5 mcg/h");
    assert_eq!(get(&every_day, "peak_rate"), "0.48 mL/day");
    assert_eq!(get(&every_day, "trough_rate"), "0.18 mL/day");
    assert_eq!(get(&every_day, "largest_24h"), "540 mcg");
    assert_eq!(get(&every_day, "largest_1h"), "40 mcg");

    let week = answer(&format!(
        r#"flex --concentration "2000 mcg/mL" --drug baclofen --pattern "mon-fri: {WEEKDAY}" --pattern "sat-sun: 00:00=20 mcg/h, 10:00=25 mcg/h, 14:00=20 mcg/h""#
    ));
    assert_eq!(get_of(&week, "day_total", "Friday"), "540 mcg/day");
    assert_eq!(get_of(&week, "day_total", "Saturday"), "500 mcg/day");
    assert_eq!(get(&week, "week_total"), "3700 mcg/week");
    assert_eq!(get(&week, "mean_day"), "3700/7 = about 528.57 mcg/day");
    // Across the midnight before Saturday: 540 - 90 + 120.
    assert_eq!(get(&week, "largest_24h"), "570 mcg");
}

/// Once per morning entered as every hour: 24 times the dose.
///
/// Requirement: CALC-6
#[test]
fn example_2_6_flex_every_hour_for_once_a_day() {
    let output = answer(
        r#"flex --concentration "2000 mcg/mL" --drug baclofen --pattern "00:00=60 mcg/h" --old-total "60 mcg/day""#,
    );
    assert_eq!(get(&output, "largest_24h"), "1440 mcg");
    assert_eq!(get(&output, "ratio_to_old"), "24 times");
    assert!(warnings(&output).contains("more than double"));
}

/// Secondary doses, a bolus of the mixture, and bupivacaine binds.
///
/// Requirement: CALC-7
#[test]
fn example_2_7_mixture() {
    const MIXTURE: &str = r#"mixture --primary "morphine 10 mg/mL" --secondary "bupivacaine 20 mg/mL" --secondary "clonidine 200 mcg/mL" --bolus "0.25 mg" --cap "morphine=15 mg" --cap "bupivacaine=15 mg" --cap "clonidine=600 mcg""#;
    for basal in [r#"--dose "2.5 mg/day""#, r#"--rate "0.250 mL/day""#] {
        let output = answer(&format!("{MIXTURE} {basal}"));
        assert_eq!(get(&output, "rate"), "0.25 mL/day");
        assert_eq!(get_of(&output, "dose", "morphine"), "2.5 mg/day");
        assert_eq!(get_of(&output, "dose", "bupivacaine"), "5 mg/day");
        assert_eq!(get_of(&output, "dose", "clonidine"), "50 mcg/day");
        assert_eq!(get(&output, "bolus_volume"), "0.025 mL");
        assert_eq!(get_of(&output, "bolus_content", "bupivacaine"), "0.5 mg");
        assert_eq!(get_of(&output, "bolus_content", "clonidine"), "5 mcg");
        for (drug, volume) in [
            ("morphine", "1.5 mL/day"),
            ("bupivacaine", "0.75 mL/day"),
            ("clonidine", "3 mL/day"),
        ] {
            assert_eq!(get_of(&output, "hard_limit_volume_of", drug), volume);
        }
        assert_eq!(get(&output, "hard_limit_binds"), "bupivacaine word");
        assert_eq!(
            get_of(&output, "hard_limit_primary", "morphine"),
            "7.5 mg/day"
        );
    }
}

/// +20.0 %, -16.7 %, and from nothing a new start.
///
/// Requirement: CALC-8
#[test]
fn example_2_8_percent_change() {
    let change = |new: &str, old: &str| {
        answer(&format!(
            r#"rate --dose "{new}" --concentration "2000 mcg/mL" --drug baclofen --old-dose "{old}" --patient-total "60 mcg""#
        ))
    };
    let up = change("540 mcg/day", "450 mcg/day");
    assert_eq!(get(&up, "change"), "+20 %");
    // With 60 mcg on both sides: 510 to 600.
    assert_eq!(get(&up, "change_with_boluses"), "+300/17 = about +17.6 %");
    let down = change("450 mcg/day", "540 mcg/day");
    assert_eq!(get(&down, "change"), "-50/3 = about -16.7 %");
    assert!(down.text().contains("about -16.7 %"));
    assert_eq!(
        get(&change("450 mcg/day", "0 mcg/day"), "change"),
        "new start word"
    );
}

/// 30.5 h at 0.25 mL/day, 2.55 d at 0.125, 6.63 d at 0.048.
///
/// Requirement: CALC-9
#[test]
fn example_2_9_latency() {
    for (dose, seconds, shown) in [
        (
            "2.5 mg/day",
            "109969.92 s",
            "30 h 32 min 50 s (1.2728 days)",
        ),
        (
            "1.25 mg/day",
            "219939.84 s",
            "61 h 5 min 40 s (2.5456 days)",
        ),
        (
            "0.48 mg/day",
            "572760 s",
            "6 days 15 h 6 min (about 6.63 days)",
        ),
    ] {
        let output = answer(&format!(
            r#"rate --dose "{dose}" --concentration "10 mg/mL" --path "0.3182 mL""#
        ));
        assert_eq!(get(&output, "latency"), seconds);
        assert!(output.text().contains(shown), "{}", output.text());
    }
}

/// Steps a day and their interval, shots, revolutions, and a bolus in steps.
///
/// Requirement: CALC-10
#[test]
fn example_2_10_steps() {
    let rate = |dose: &str, more: &str| {
        answer(&format!(
            r#"rate --dose "{dose}" --concentration "10 mg/mL" {more}"#
        ))
    };
    for (dose, a_day, interval) in [
        ("0.48 mg/day", "19200 steps/day", "4.5 s"),
        ("2.5 mg/day", "100000 steps/day", "864 ms"),
        ("240 mg/day", "9600000 steps/day", "9 ms"),
    ] {
        let output = rate(dose, "");
        assert_eq!(get(&output, "steps_per_day"), a_day);
        assert_eq!(get(&output, "step_interval"), interval);
        assert_eq!(get(&output, "steps_per_microlitre"), "400 steps/uL");
    }
    let highest = rate("240 mg/day", "");
    assert_eq!(
        get(&highest, "steps_per_second"),
        "1000/9 = about 111.11 steps/s"
    );
    // Head revolutions of 6 uL, motor revolutions of two steps.
    let head = rate("2.5 mg/day", r#"--shot "6 uL""#);
    assert_eq!(get(&head, "shots_per_day"), "125/3 = about 41.67 shots/day");
    let motor = rate("2.5 mg/day", r#"--shot "5 nL""#);
    assert_eq!(get(&motor, "shots_per_day"), "50000 shots/day");
    // Metered by a valve: 11.52 min and 60 min; a cassette: 7.2 min.
    let valve = rate("2.5 mg/day", r#"--shot "2 uL""#);
    assert_eq!(get(&valve, "shot_interval"), "691.2 s");
    assert_eq!(get(&valve, "smallest_bolus"), "0.04 mL");
    assert_eq!(
        get(&rate("0.48 mg/day", r#"--shot "2 uL""#), "shot_interval"),
        "3600 s"
    );
    assert_eq!(
        get(&rate("100 mg/day", r#"--shot "50 uL""#), "shot_interval"),
        "432 s"
    );
    let bolus = answer(
        r#"patient-bolus --drug morphine --concentration "10 mg/mL" --basal "2.5 mg/day" --bolus "0.25 mg" --duration "10 min" --boluses 4 --lockout "6 h""#,
    );
    assert_eq!(get(&bolus, "bolus_volume"), "0.025 mL");
    assert_eq!(get(&bolus, "bolus_steps"), "10000 steps");
    assert_eq!(
        get(&bolus, "bolus_steps_per_second"),
        "50/3 = about 16.67 steps/s"
    );
}

/// +13.9 % is within, +15.2 % and -17.1 % are flagged; a reading error makes 3.2 %.
///
/// Requirement: CALC-11
#[test]
fn example_2_11_refill_discrepancy() {
    for (aspirated, shown, verdict) in [
        ("2.00 mL", "about +13.9 %", "within 14.5 % word"),
        ("1.80 mL", "about +15.2 %", "over-infusion word"),
        ("6.90 mL", "about -17.1 %", "under-infusion word"),
    ] {
        let output = answer(&format!(
            r#"discrepancy --fill "20.0 mL" --expected "4.20 mL" --aspirated "{aspirated}""#
        ));
        assert!(
            get(&output, "error").ends_with(shown),
            "{}",
            get(&output, "error")
        );
        assert_eq!(get(&output, "verdict"), verdict);
        assert_eq!(get(&output, "programmed_out"), "15.8 mL");
        assert!(get(&output, "reading_error").ends_with("about 3.2 %"));
    }
    let little = answer(r#"discrepancy --fill "20 mL" --expected "15.01 mL" --aspirated "14 mL""#);
    assert_eq!(get(&little, "verdict"), "not classified word");
}

/// 3.5 mg in 24 h; of four with 8 h between them the lockout leaves three.
///
/// Requirement: CALC-12
#[test]
fn example_2_12_patient_bolus_ceiling() {
    let with_lockout = |lockout: &str| {
        answer(&format!(
            r#"patient-bolus --drug morphine --concentration "10 mg/mL" --basal "2.5 mg/day" --bolus "0.25 mg" --duration "10 min" --boluses 4 --lockout "{lockout}""#
        ))
    };
    let six = with_lockout("6 h");
    assert_eq!(get(&six, "largest_24h"), "3.5 mg");
    assert_eq!(get(&six, "binding"), "number word");
    let eight = with_lockout("8 h");
    assert_eq!(get(&eight, "most_boluses"), "3 boluses");
    assert_eq!(get(&eight, "largest_24h"), "3.25 mg");
    assert_eq!(get(&eight, "binding"), "lockout word");
}

/// ERI 2026-11-30: EOS 2027-02-28, replaced 14 days before.
///
/// Requirement: CALC-13
#[test]
fn example_2_13_service_life() {
    let output = answer("service-life --implanted 2021-01-15 --eri 2026-11-30");
    assert_eq!(get(&output, "eri"), "2026-11-30 date");
    assert_eq!(get(&output, "eos"), "2027-02-28 date");
    assert_eq!(get(&output, "replace_by"), "2027-02-14 date");
    assert_eq!(get(&output, "eri_cause"), "voltage word");
    // The hard life of 2555 days binds.
    let old = answer("service-life --implanted 2020-01-15 --eri 2026-11-30");
    assert_eq!(get(&old, "eos"), "2027-01-13 date");
    assert_eq!(get(&old, "eri_cause"), "age word");
    let lasting = answer("service-life --implanted 2021-01-15");
    assert_eq!(get(&lasting, "eos"), "2028-01-14 date");
}

/// 5 mg/mL; 36 days to the threshold, 40 to empty.
///
/// Requirement: CALC-14
#[test]
fn example_2_14_constant_rate() {
    let output = answer(r#"rate --dose "2.5 mg/day" --fixed-rate "0.5 mL/day" --drug morphine"#);
    assert_eq!(get(&output, "concentration"), "5 mg/mL");
    let lasts = answer(r#"refill --fill "20 mL" --rate "0.5 mL/day""#);
    assert_eq!(get_of(&lasts, "time_to_alarm", "basal_only"), "3110400 s");
    assert_eq!(get_of(&lasts, "time_to_empty", "basal_only"), "3456000 s");
    assert!(lasts.text().contains("36 days") && lasts.text().contains("40 days"));
}

/// 1.73 s a day and 10.5 min a year at 20 ppm; 43.2 s and 4.4 h at 500.
///
/// Requirement: CALC-16
#[test]
fn example_2_16_clock_error() {
    for (error, a_day, a_year) in [
        ("20 ppm", "1.728 s", "630.72 s"),
        ("500 ppm", "43.2 s", "15768 s"),
    ] {
        let output = answer(&format!(
            r#"flex --concentration "2000 mcg/mL" --pattern "00:00=15 mcg/h" --clock-error "{error}""#
        ));
        assert_eq!(get(&output, "drift_per_day"), a_day);
        assert_eq!(get(&output, "drift_per_year"), a_year);
    }
}
