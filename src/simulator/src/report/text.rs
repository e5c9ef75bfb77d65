//! Numbers and times as people write them. For the page only: files for machines have exact values.

use units::{Duration, Mass, Volume};

/// Digits in groups of three: `4,500,000`.
pub(crate) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With its sign, always: `+12`, `−3,000`.
pub(super) fn signed(number: i128) -> String {
    let sign = if number < 0 { '\u{2212}' } else { '+' };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

/// Once, twice, 3 times.
pub(super) fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        other => format!("{other} times"),
    }
}

/// In days, hours, minutes and seconds: `1 day 6 h`, `0.085 s`. Rounded down to a millisecond.
pub(crate) fn spelled(duration: Duration) -> String {
    let millis = duration.millis_rounded_down();
    let (days, millis) = (millis / 86_400_000, millis % 86_400_000);
    let (hours, millis) = (millis / 3_600_000, millis % 3_600_000);
    let (minutes, millis) = (millis / 60_000, millis % 60_000);
    let mut parts = Vec::new();
    if days > 0 {
        parts.push(if days == 1 {
            "1 day".to_owned()
        } else {
            format!("{days} days")
        });
    }
    if hours > 0 {
        parts.push(format!("{hours} h"));
    }
    if minutes > 0 {
        parts.push(format!("{minutes} min"));
    }
    if millis > 0 || parts.is_empty() {
        parts.push(format!("{} s", crate::words::decimal(millis.into(), 3)));
    }
    parts.join(" ")
}

/// In millilitres with three decimals.
pub(super) fn rounded_volume(volume: Volume) -> String {
    format!("{} mL", rounded(volume.femtolitres().into(), 12))
}

/// In milligrams from 1 mg on, else in micrograms; three decimals.
pub(super) fn rounded_mass(mass: Mass) -> String {
    if mass >= Mass::from_nanograms(1_000_000) {
        format!("{} mg", rounded(mass.zeptograms(), 18))
    } else {
        format!("{} mcg", rounded(mass.zeptograms(), 15))
    }
}

/// `value / 10^places` with exactly three decimals, rounded to the nearest.
fn rounded(value: u128, places: u32) -> String {
    let one = 10_u128.pow(places - 3);
    let thousandths = value.saturating_add(one / 2) / one;
    format!("{}.{:03}", grouped(thousandths / 1000), thousandths % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_signed() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(4_500_000), "4,500,000");
        assert_eq!(signed(0), "+0");
        assert_eq!(signed(-3_000), "\u{2212}3,000");
    }

    #[test]
    fn times_are_spelled_in_their_parts() {
        assert_eq!(spelled(Duration::ZERO), "0 s");
        assert_eq!(spelled(Duration::from_millis(85)), "0.085 s");
        assert_eq!(spelled(Duration::from_days(90)), "90 days");
        assert_eq!(spelled(Duration::from_hours(30)), "1 day 6 h");
        assert_eq!(spelled(Duration::from_seconds(61)), "1 min 1 s");
    }

    #[test]
    fn rounding_is_to_the_nearest_thousandth() {
        let volume = |text: &str| {
            text.parse::<Volume>()
                .map(rounded_volume)
                .expect("a volume")
        };
        assert_eq!(volume("11.25 mL"), "11.250 mL");
        assert_eq!(volume("0.0004 mL"), "0.000 mL");
        assert_eq!(volume("0.0005 mL"), "0.001 mL");
        assert_eq!(volume("1999.9996 mL"), "2,000.000 mL");
        assert_eq!(rounded_mass(Mass::from_nanograms(999_999)), "999.999 mcg");
        assert_eq!(rounded_mass(Mass::from_nanograms(22_500_000)), "22.500 mg");
    }
}
