//! Exact fractions of integers, and multiplying by them without overflow.

use core::cmp::Ordering;
use core::num::NonZeroU128;

/// An exact, reduced fraction of two integers. Comparing and multiplying never overflow and never round unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ratio {
    numerator: u128,
    denominator: NonZeroU128,
}

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: NonZeroU128::MIN,
    };

    /// `numerator / denominator`, reduced to lowest terms.
    #[must_use]
    pub fn new(numerator: u128, denominator: NonZeroU128) -> Self {
        let divisor = greatest_common_divisor(numerator, denominator);
        Self {
            numerator: divide(numerator, divisor).0,
            // A divisor of a number other than zero leaves at least one.
            denominator: NonZeroU128::new(divide(denominator.get(), divisor).0)
                .unwrap_or(NonZeroU128::MIN),
        }
    }

    /// The upper number of the reduced fraction.
    #[must_use]
    pub const fn numerator(self) -> u128 {
        self.numerator
    }

    /// The lower number of the reduced fraction.
    #[must_use]
    pub const fn denominator(self) -> NonZeroU128 {
        self.denominator
    }

    /// One over this; `None` for zero.
    #[must_use]
    pub const fn inverse(self) -> Option<Self> {
        match NonZeroU128::new(self.numerator) {
            Some(denominator) => Some(Self {
                numerator: self.denominator.get(),
                denominator,
            }),
            None => None,
        }
    }

    /// This divided by `divisor`; `None` when the lower number would not fit.
    #[must_use]
    pub fn divided_by(self, divisor: NonZeroU128) -> Option<Self> {
        let common = greatest_common_divisor(self.numerator, divisor);
        let left = NonZeroU128::new(divide(divisor.get(), common).0)?;
        Some(Self {
            numerator: divide(self.numerator, common).0,
            denominator: self.denominator.checked_mul(left)?,
        })
    }

    /// `count` times this, rounded down; `None` above `u64::MAX`.
    #[must_use]
    pub fn times_rounded_down(self, count: u64) -> Option<u64> {
        self.times(count).map(|(quotient, _)| quotient)
    }

    /// `count` times this, rounded up; `None` above `u64::MAX`.
    #[must_use]
    pub fn times_rounded_up(self, count: u64) -> Option<u64> {
        let (quotient, exact) = self.times(count)?;
        if exact {
            Some(quotient)
        } else {
            quotient.checked_add(1)
        }
    }

    /// The next whole number that is not below this.
    #[must_use]
    pub fn rounded_up(self) -> u128 {
        let (whole, part) = divide(self.numerator, self.denominator);
        // A remainder needs a denominator of two at least, which leaves room for one more.
        whole.saturating_add(u128::from(part != 0))
    }

    /// `count` times this and `carry` parts of its denominator (fewer than a whole), exactly: the whole part, and what remains over it, in
    /// parts of the denominator; `None` above `u64::MAX`.
    #[must_use]
    pub fn times_and_carry(self, count: u64, carry: u128) -> Option<(u64, u128)> {
        count_and_carry(self.numerator, self.denominator, count, carry)
    }

    /// `count` times this, rounded down, and whether that is exact.
    fn times(self, count: u64) -> Option<(u64, bool)> {
        let (quotient, rest) = self.times_and_carry(count, 0)?;
        Some((quotient, rest == 0))
    }
}

/// `(numerator x count + carry) / denominator`, exactly: quotient and remainder; `None` when the quotient is above `u64::MAX`. `carry` is below
/// the denominator. Unlike a [`Ratio`] the two numbers need not be reduced: parts of one denominator can be carried from one to another.
#[must_use]
pub fn count_and_carry(
    numerator: u128,
    denominator: NonZeroU128,
    count: u64,
    carry: u128,
) -> Option<(u64, u128)> {
    let wide_count = u128::from(count);
    // count x (whole + part / denominator), with part < denominator: only the second product may need more than 128 bits.
    let (whole, part) = divide(numerator, denominator);
    let whole = whole.checked_mul(wide_count)?;
    let (mut quotient, mut remainder) = match part.checked_mul(wide_count) {
        Some(product) => divide(product, denominator),
        None => times_part(part, denominator, count),
    };
    add_part(&mut quotient, &mut remainder, carry, denominator);
    let sum = whole.checked_add(quotient)?;
    Some((u64::try_from(sum).ok()?, remainder))
}

/// `count x part / denominator` for `part < denominator` by long multiplication, one bit of `count` at a time: the running
/// remainder stays below the denominator and the running quotient below the bits of `count` read so far.
fn times_part(part: u128, denominator: NonZeroU128, count: u64) -> (u128, u128) {
    let mut quotient = 0_u128;
    let mut remainder = 0_u128;
    for place in (0..u64::BITS).rev() {
        quotient = quotient.saturating_mul(2);
        let twice = remainder;
        add_part(&mut quotient, &mut remainder, twice, denominator);
        if count.checked_shr(place).is_some_and(|bits| bits & 1 == 1) {
            add_part(&mut quotient, &mut remainder, part, denominator);
        }
    }
    (quotient, remainder)
}

/// Adds `addend` to the remainder and carries a full denominator into the quotient, without ever forming the sum, which may not fit.
fn add_part(quotient: &mut u128, remainder: &mut u128, addend: u128, denominator: NonZeroU128) {
    let room = denominator.get().saturating_sub(addend);
    match remainder.checked_sub(room) {
        Some(over) => {
            *remainder = over;
            *quotient = quotient.saturating_add(1);
        }
        None => *remainder = remainder.saturating_add(addend),
    }
}

/// The least denominator that both can be brought to; `None` when it would not fit.
#[must_use]
pub fn common_denominator(first: NonZeroU128, second: NonZeroU128) -> Option<NonZeroU128> {
    let divisor = greatest_common_divisor(first.get(), second);
    NonZeroU128::new(divide(first.get(), divisor).0)?.checked_mul(second)
}

impl Ord for Ratio {
    /// By Euclid's algorithm on both fractions at once: the first differing whole part decides, and nothing is multiplied.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (*self, *other);
        loop {
            let (left_whole, left_part) = divide(left.numerator, left.denominator);
            let (right_whole, right_part) = divide(right.numerator, right.denominator);
            let whole = left_whole.cmp(&right_whole);
            if whole != Ordering::Equal {
                return whole;
            }
            let parts = (NonZeroU128::new(left_part), NonZeroU128::new(right_part));
            let (left_part, right_part) = match parts {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(left_part), Some(right_part)) => (left_part, right_part),
            };
            // Of two fractions below one the one with the larger inverse is the smaller: the sides change places.
            let inverse_of_left = Self {
                numerator: left.denominator.get(),
                denominator: left_part,
            };
            left = Self {
                numerator: right.denominator.get(),
                denominator: right_part,
            };
            right = inverse_of_left;
        }
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The largest number that divides both; `second` itself when `first` is zero.
fn greatest_common_divisor(first: u128, second: NonZeroU128) -> NonZeroU128 {
    let mut divisor = second;
    let mut rest = divide(first, second).1;
    while let Some(next) = NonZeroU128::new(rest) {
        rest = divide(divisor.get(), next).1;
        divisor = next;
    }
    divisor
}

/// Quotient and remainder of two numbers.
///
/// The one place where 128 bits are divided: on a processor of 32 bits that takes a kilobyte of code, and as much again wherever it is written
/// (docs/footprint.md).
#[must_use]
#[inline(never)]
pub fn divide(dividend: u128, divisor: NonZeroU128) -> (u128, u128) {
    let quotient = dividend / divisor;
    // Never more than the dividend: nothing wraps.
    let remainder = dividend.wrapping_sub(quotient.wrapping_mul(divisor.get()));
    (quotient, remainder)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    /// Numbers of every length from 1 bit to 128.
    fn wide() -> impl Strategy<Value = u128> {
        (any::<u128>(), 0_u32..128).prop_map(|(bits, shift)| bits >> shift)
    }

    fn wide_nonzero() -> impl Strategy<Value = NonZeroU128> {
        wide().prop_map(|number| NonZeroU128::new(number).unwrap_or(NonZeroU128::MIN))
    }

    fn count() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(bits, shift)| bits >> shift)
    }

    fn nonzero(number: u128) -> NonZeroU128 {
        NonZeroU128::new(number).unwrap()
    }

    #[test]
    fn is_reduced_to_lowest_terms() {
        let ratio = Ratio::new(84, nonzero(36));
        assert_eq!((ratio.numerator(), ratio.denominator().get()), (7, 3));
        assert_eq!(Ratio::new(0, nonzero(36)), Ratio::ZERO);
        assert_eq!(Ratio::ZERO.inverse(), None);
    }

    #[test]
    fn rounds_down_and_up_only_where_it_must() {
        let third = Ratio::new(1, nonzero(3));
        assert_eq!(
            (third.times_rounded_down(6), third.times_rounded_up(6)),
            (Some(2), Some(2))
        );
        assert_eq!(
            (third.times_rounded_down(7), third.times_rounded_up(7)),
            (Some(2), Some(3))
        );
        assert_eq!(
            (third.times_rounded_down(8), third.times_rounded_up(8)),
            (Some(2), Some(3))
        );
    }

    #[test]
    fn the_largest_numbers_multiply_exactly() {
        let nearly_one = Ratio::new(u128::MAX - 1, NonZeroU128::MAX);
        assert_eq!(nearly_one.times_rounded_down(u64::MAX), Some(u64::MAX - 1));
        assert_eq!(nearly_one.times_rounded_up(u64::MAX), Some(u64::MAX));
        let one = Ratio::new(u128::MAX, NonZeroU128::MAX);
        assert_eq!(one.times_rounded_up(u64::MAX), Some(u64::MAX));
        let two = Ratio::new(2, NonZeroU128::MIN);
        assert_eq!(two.times_rounded_down(u64::MAX), None);
        let just_over = Ratio::new(u128::from(u64::MAX) + 1, nonzero(u128::from(u64::MAX)));
        assert_eq!(just_over.times_rounded_down(u64::MAX), None);
    }

    #[test]
    fn rounds_up_to_whole_numbers() {
        for (numerator, denominator, expected) in [
            (0, 7, 0),
            (1, 7, 1),
            (7, 7, 1),
            (8, 7, 2),
            (14, 7, 2),
            (1, u128::MAX, 1),
            (u128::MAX, 1, u128::MAX),
            (u128::MAX, 2, 1 << 127),
        ] {
            let ratio = Ratio::new(numerator, nonzero(denominator));
            assert_eq!(ratio.rounded_up(), expected, "{numerator} / {denominator}");
        }
    }

    #[test]
    fn a_common_denominator_is_the_least() {
        assert_eq!(
            common_denominator(nonzero(6), nonzero(4)),
            Some(nonzero(12))
        );
        assert_eq!(common_denominator(nonzero(5), nonzero(5)), Some(nonzero(5)));
        assert_eq!(common_denominator(nonzero(u128::MAX), nonzero(2)), None);
    }

    proptest! {
        /// What is carried in comes out again: quotient and remainder make up numerator x count + carry.
        #[test]
        fn nothing_carried_is_lost(numerator in wide(), denominator in wide_nonzero(), count in count(), carry in wide()) {
            let carry = carry % denominator.get();
            let exact = BigUint::from(numerator) * count + carry;
            match count_and_carry(numerator, denominator, count, carry) {
                Some((quotient, rest)) => {
                    prop_assert!(rest < denominator.get());
                    prop_assert_eq!(BigUint::from(quotient) * denominator.get() + rest, exact);
                }
                None => prop_assert!(exact / denominator.get() > BigUint::from(u64::MAX)),
            }
        }

        #[test]
        fn multiplies_like_big_integers(numerator in wide(), denominator in wide_nonzero(), count in count()) {
            let ratio = Ratio::new(numerator, denominator);
            let product = BigUint::from(numerator) * count;
            let down = &product / denominator.get();
            let up = (&product + (denominator.get() - 1)) / denominator.get();
            prop_assert_eq!(ratio.times_rounded_down(count), u64::try_from(down).ok());
            prop_assert_eq!(ratio.times_rounded_up(count), u64::try_from(up).ok());
        }

        /// Fractions below one with long terms take the long multiplication, bit by bit.
        #[test]
        fn multiplies_long_fractions_like_big_integers(
            numerator in any::<u128>(), denominator in any::<u128>(), count in any::<u64>(),
        ) {
            let (numerator, denominator) = (numerator.min(denominator), numerator.max(denominator).max(1));
            let ratio = Ratio::new(numerator, nonzero(denominator));
            let product = BigUint::from(numerator) * count;
            prop_assert_eq!(ratio.times_rounded_down(count), u64::try_from(&product / denominator).ok());
            let up = (product + (denominator - 1)) / denominator;
            prop_assert_eq!(ratio.times_rounded_up(count), u64::try_from(up).ok());
        }

        #[test]
        fn compares_like_big_integers(
            left in (wide(), wide_nonzero()), right in (wide(), wide_nonzero()),
        ) {
            let ours = Ratio::new(left.0, left.1).cmp(&Ratio::new(right.0, right.1));
            let oracle = (BigUint::from(left.0) * right.1.get()).cmp(&(BigUint::from(right.0) * left.1.get()));
            prop_assert_eq!(ours, oracle);
        }

        /// Neighbours of one fraction differ late in Euclid's algorithm.
        #[test]
        fn compares_close_fractions_like_big_integers(
            numerator in 1_u128..u128::MAX, denominator in 1_u128..u128::MAX, more in 0_u128..2, below in 0_u128..2,
        ) {
            let (left, right) = ((numerator, denominator), (numerator + more, denominator + below));
            let ours = Ratio::new(left.0, nonzero(left.1)).cmp(&Ratio::new(right.0, nonzero(right.1)));
            let oracle = (BigUint::from(left.0) * right.1).cmp(&(BigUint::from(right.0) * left.1));
            prop_assert_eq!(ours, oracle);
        }

        #[test]
        fn divides_exactly_or_not_at_all(numerator in wide(), denominator in wide_nonzero(), divisor in wide_nonzero()) {
            let ratio = Ratio::new(numerator, denominator);
            let product = BigUint::from(ratio.denominator().get()) * divisor.get();
            match ratio.divided_by(divisor) {
                Some(quotient) => {
                    // a/b = n/(d x v) by cross-multiplication, and in lowest terms.
                    let left = BigUint::from(quotient.numerator()) * &product;
                    let right = BigUint::from(ratio.numerator()) * quotient.denominator().get();
                    prop_assert_eq!(left, right);
                    prop_assert_eq!(quotient, Ratio::new(quotient.numerator(), quotient.denominator()));
                }
                None => prop_assert!(product > BigUint::from(u128::MAX)),
            }
        }
    }
}
