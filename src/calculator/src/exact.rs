//! Exact fractions as text.

use std::num::NonZeroU128;

use units::{Ratio, divide};

use crate::Error;

/// More decimals than any finite result has: 2^-96 would have 96, a step volume over a concentration some forty.
const MOST_DECIMALS: usize = 60;

/// `numerator / denominator`.
pub(crate) fn ratio(
    numerator: impl Into<u128>,
    denominator: impl Into<u128>,
) -> Result<Ratio, Error> {
    NonZeroU128::new(denominator.into())
        .map(|denominator| Ratio::new(numerator.into(), denominator))
        .ok_or_else(Error::too_large)
}

/// The product of two fractions.
pub(crate) fn times(left: Ratio, right: Ratio) -> Result<Ratio, Error> {
    // Reduced crosswise, so that the products overflow only if the result itself does.
    let (first, second) = (
        Ratio::new(left.numerator(), right.denominator()),
        Ratio::new(right.numerator(), left.denominator()),
    );
    let numerator = first.numerator().checked_mul(second.numerator());
    let denominator = first.denominator().checked_mul(second.denominator());
    match (numerator, denominator) {
        (Some(numerator), Some(denominator)) => Ok(Ratio::new(numerator, denominator)),
        _ => Err(Error::too_large()),
    }
}

/// A fraction as a decimal number without trailing zeros; `None` when its decimals do not end.
pub(crate) fn decimal(ratio: Ratio) -> Option<String> {
    let (whole, mut rest) = divide(ratio.numerator(), ratio.denominator());
    let mut digits = String::new();
    while rest != 0 {
        if digits.len() >= MOST_DECIMALS {
            return None;
        }
        let (digit, left) = divide(rest.checked_mul(10)?, ratio.denominator());
        digits.push_str(&digit.to_string());
        rest = left;
    }
    Some(if digits.is_empty() {
        whole.to_string()
    } else {
        format!("{whole}.{digits}")
    })
}

/// A fraction to so many decimals, halves rounded up; trailing zeros stay, because they were rounded to.
pub(crate) fn rounded(ratio: Ratio, decimals: u32) -> Result<String, Error> {
    let power = 10_u128.pow(decimals);
    let scaled = times(ratio, self::ratio(power, 1_u8)?)?;
    let (whole, rest) = divide(scaled.numerator(), scaled.denominator());
    let up = rest >= scaled.denominator().get() - rest;
    let scaled = whole + u128::from(up);
    if decimals == 0 {
        return Ok(scaled.to_string());
    }
    let width = usize::try_from(decimals).unwrap_or(0);
    Ok(format!("{}.{:0width$}", scaled / power, scaled % power))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(numerator: u128, denominator: u128) -> Ratio {
        ratio(numerator, denominator).unwrap()
    }

    #[test]
    fn finite_decimals_are_written_and_others_are_not() {
        for (numerator, denominator, text) in [
            (0, 1, Some("0")),
            (1, 4, Some("0.25")),
            (5, 2, Some("2.5")),
            (10, 5, Some("2")),
            (1, 1_000_000, Some("0.000001")),
            (1, 3, None),
            (125, 12, None),
        ] {
            assert_eq!(decimal(of(numerator, denominator)).as_deref(), text);
        }
    }

    #[test]
    fn halves_are_rounded_up() {
        for (numerator, denominator, decimals, text) in [
            (125, 12, 4, "10.4167"),
            (125, 720, 5, "0.17361"),
            (1, 2, 0, "1"),
            (1, 3, 0, "0"),
            (999, 1_000, 2, "1.00"),
            (5, 100, 1, "0.1"),
            (4_999, 100_000, 1, "0.0"),
            (1, 8, 2, "0.13"),
        ] {
            let shown = rounded(of(numerator, denominator), decimals).unwrap();
            assert_eq!(shown, text, "{numerator}/{denominator}");
        }
    }

    proptest! {
        #[test]
        fn a_product_is_that_of_the_parts(a in 0_u64.., b in 1_u32.., c in 0_u32.., d in 1_u64..) {
            let product = times(of(a.into(), b.into()), of(c.into(), d.into())).unwrap();
            prop_assert_eq!(product, of(u128::from(a) * u128::from(c), u128::from(b) * u128::from(d)));
        }

        #[test]
        fn what_is_rounded_is_off_by_half_a_unit_at_most(n in 0_u64.., d in 1_u32.., decimals in 0_u32..7) {
            let text = rounded(of(n.into(), d.into()), decimals).unwrap();
            let scaled: u128 = text.replace('.', "").parse().unwrap();
            // |scaled / 10^decimals - n / d| <= 1 / (2 x 10^decimals)
            let difference = (scaled * u128::from(d)).abs_diff(u128::from(n) * 10_u128.pow(decimals));
            prop_assert!(2 * difference <= u128::from(d));
        }

        #[test]
        fn decimals_read_back(n in 0_u64.., places in 0_u32..18) {
            let text = decimal(of(n.into(), 10_u128.pow(places))).unwrap();
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let power = 10_u128.pow(u32::try_from(fraction.len()).unwrap());
            let back = of(format!("{whole}{fraction}").parse().unwrap(), power);
            prop_assert_eq!(back, of(n.into(), 10_u128.pow(places)));
        }
    }
}
