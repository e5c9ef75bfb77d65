//! How much a 24-hour total changes.
use units::Drug;

/// The change of a 24-hour total (clinical reference, 2.8): shown to 0.1 %, never as a percentage of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing was given and nothing is to be.
    Nothing,
    /// Nothing was given before.
    NewStart,
    /// Another drug: the two totals cannot be compared.
    OtherDrug,
    /// From one total, more than nothing, to another of the same drug, in nanograms.
    Between {
        /// The total before.
        old: u64,
        /// The total from now on.
        new: u64,
    },
}

impl Change {
    /// From the program before (`None`: there was none) to the new one: each its drug and its 24-hour total in nanograms.
    #[must_use]
    pub fn of(old: Option<(Drug, u64)>, new: (Drug, u64)) -> Self {
        match (old, new) {
            (None | Some((_, 0)), (_, 0)) => Self::Nothing,
            (None | Some((_, 0)), _) => Self::NewStart,
            (Some((old_drug, _)), (new_drug, _)) if old_drug != new_drug => Self::OtherDrug,
            (Some((_, old)), (_, new)) => Self::Between { old, new },
        }
    }

    /// `+20.0 %`, `−16.7 %`, `new start`.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Nothing => "no change".to_owned(),
            Self::NewStart => "new start".to_owned(),
            Self::OtherDrug => "other drug".to_owned(),
            Self::Between { old, new } if old == new => "no change".to_owned(),
            Self::Between { old, new } => percent(old, new),
        }
    }

    /// In tenths of a percent, to the nearest, halves away from zero, as [`protocol::Shown::change_tenths_percent`] wants it; `None` when
    /// there is nothing to compare with.
    #[must_use]
    pub fn tenths(self) -> Option<i32> {
        let Self::Between { old, new } = self else {
            return None;
        };
        // 10^3 times 64 bits fit.
        let difference = u128::from(new.abs_diff(old)).saturating_mul(1_000);
        let tenths = i32::try_from(rounded(difference, u128::from(old))?).unwrap_or(i32::MAX);
        Some(if new < old {
            tenths.saturating_neg()
        } else {
            tenths
        })
    }

    /// How many times the old total the new one is, when that is more than twice or less than half of it: `24 times`.
    ///
    /// A dose meant once a day and entered once an hour is 24 times as much (clinical reference, 2.6).
    #[must_use]
    pub fn times(self) -> Option<String> {
        let Self::Between { old, new } = self else {
            return None;
        };
        let (large, small, before) = if new >= old {
            (new, old, "")
        } else {
            (old, new, "1/")
        };
        if large <= small.checked_mul(2)? {
            return None;
        }
        let tenths = rounded(u128::from(large).checked_mul(10)?, u128::from(small))?;
        let number = crate::text::exact(tenths, 1);
        Some(format!("{before}{number} times the present total"))
    }

    /// Less than four fifths of the old total: a drop of more than 20 % (clinical reference, 3.4).
    #[must_use]
    pub fn drops_by_more_than_a_fifth(self) -> bool {
        match self {
            Self::Between { old, new } => {
                u128::from(new).saturating_mul(5) < u128::from(old).saturating_mul(4)
            }
            Self::Nothing | Self::NewStart | Self::OtherDrug => false,
        }
    }
}

/// The change from `old`, which is not zero, to `new`, rounded half away from zero to 0.1 %.
fn percent(old: u64, new: u64) -> String {
    let sign = if new >= old { "+" } else { "\u{2212}" };
    let difference = u128::from(new.abs_diff(old));
    let tenths = difference
        .checked_mul(1_000)
        .and_then(|thousandfold| rounded(thousandfold, u128::from(old)));
    match tenths {
        None => "not known".to_owned(),
        // Not "+0.0 %", which would say: no change.
        Some(0) => format!("{sign}<0.1 %"),
        Some(tenths) => {
            let whole = crate::text::exact(tenths / 10, 0);
            format!("{sign}{whole}.{} %", tenths % 10)
        }
    }
}

/// `numerator / denominator` to the nearest whole number, halves up; `None` for a denominator of zero.
fn rounded(numerator: u128, denominator: u128) -> Option<u128> {
    let quotient = numerator.checked_div(denominator)?;
    let rest = numerator.checked_rem(denominator)?;
    if rest >= denominator.checked_sub(rest)? {
        quotient.checked_add(1)
    } else {
        Some(quotient)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DRUG: Drug = Drug::Baclofen;

    fn text(old: u64, new: u64) -> String {
        Change::of(Some((DRUG, old)), (DRUG, new)).text()
    }

    #[test]
    fn percent_change_is_that_of_the_clinical_reference() {
        assert_eq!(text(450, 540), "+20.0 %");
        assert_eq!(text(540, 450), "\u{2212}16.7 %");
        assert_eq!(text(60, 1_440), "+2,300.0 %");
        assert_eq!(text(1_000_000, 1_000_001), "+<0.1 %");
        assert_eq!(text(1_000_001, 1_000_000), "\u{2212}<0.1 %");
        assert_eq!(text(2_000, 2_001), "+0.1 %");
        assert_eq!(text(10_000, 9_999), "\u{2212}<0.1 %");
        assert_eq!(text(1, u64::MAX), "+1,844,674,407,370,955,161,400.0 %");
    }

    #[test]
    fn nothing_is_ever_a_percentage_of_nothing() {
        assert_eq!(Change::of(None, (DRUG, 5)).text(), "new start");
        assert_eq!(Change::of(None, (DRUG, 0)).text(), "no change");
        assert_eq!(text(0, 5), "new start");
        assert_eq!(text(0, 0), "no change");
        assert_eq!(text(5, 5), "no change");
        assert_eq!(text(5, 0), "\u{2212}100.0 %");
        assert_eq!(
            Change::of(Some((Drug::Morphine, 5)), (DRUG, 5)),
            Change::OtherDrug
        );
        assert_eq!(
            Change::of(Some((Drug::Morphine, 0)), (DRUG, 5)),
            Change::NewStart
        );
    }

    #[test]
    fn the_tenths_are_those_of_the_wire() {
        let tenths = |old, new| Change::of(Some((DRUG, old)), (DRUG, new)).tenths();
        assert_eq!(tenths(450, 540), Some(200));
        assert_eq!(tenths(540, 450), Some(-167));
        // Halves away from zero: 0.05 % either way.
        assert_eq!(tenths(2_000, 2_001), Some(1));
        assert_eq!(tenths(2_000, 1_999), Some(-1));
        assert_eq!(tenths(2_001, 2_002), Some(0));
        assert_eq!(tenths(5, 5), Some(0));
        assert_eq!(tenths(5, 0), Some(-1_000));
        assert_eq!(tenths(1, u64::MAX), Some(i32::MAX));
        assert_eq!(tenths(0, 5), None);
        assert_eq!(tenths(0, 0), None);
        assert_eq!(Change::of(None, (DRUG, 5)).tenths(), None);
        assert_eq!(Change::OtherDrug.tenths(), None);
    }

    #[test]
    fn once_a_day_entered_as_once_an_hour_is_24_times() {
        let change = Change::of(Some((DRUG, 60)), (DRUG, 1_440));
        assert_eq!(
            change.times().as_deref(),
            Some("24 times the present total")
        );
        let back = Change::of(Some((DRUG, 1_440)), (DRUG, 60));
        assert_eq!(
            back.times().as_deref(),
            Some("1/24 times the present total")
        );
        assert_eq!(Change::of(Some((DRUG, 60)), (DRUG, 120)).times(), None);
    }

    #[test]
    fn a_drop_of_more_than_a_fifth_is_told_apart_from_one_of_a_fifth() {
        let drops =
            |old, new| Change::of(Some((DRUG, old)), (DRUG, new)).drops_by_more_than_a_fifth();
        assert!(!drops(100, 80));
        assert!(drops(100, 79));
        assert!(drops(100, 0));
        assert!(!drops(100, 200));
        assert!(!drops(0, 200));
    }

    proptest! {
        #[test]
        fn any_two_totals_have_a_text(old: u64, new: u64) {
            let change = Change::of(Some((DRUG, old)), (DRUG, new));
            prop_assert_ne!(change.text(), "not known");
            let _ = change.times();
        }

        #[test]
        fn the_percentage_is_the_nearest_tenth(old in 1_u64..1_000_000, new in 1_u64..1_000_000) {
            prop_assume!(old != new);
            let text = text(old, new).replace(',', "").replace('\u{2212}', "-");
            let number = text.trim_end_matches(" %");
            if let Some(tenths) = number.replace('.', "").parse::<i128>().ok().filter(|_| !number.contains('<')) {
                // |tenths x old - 1000 (new - old)| <= old / 2
                let error = tenths * i128::from(old) - 1_000 * (i128::from(new) - i128::from(old));
                prop_assert!(2 * error.abs() <= i128::from(old), "{old} to {new} is not {text}");
            } else {
                prop_assert!(2_000 * u128::from(old.abs_diff(new)) < u128::from(old));
            }
        }
    }
}
