//! Why the motor refused, numbered from 1.

use core::fmt;

use crate::bindings;

/// Why the motor refused. What is refused changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MotorError {
    /// The interlock's hard ceiling would be passed.
    Ceiling = 1,
    /// The interlock is not open: not opened yet, tripped, or the motor was switched off.
    Closed = 2,
    /// Two orders are held already, or this one would overlap the one before it; of grants: too many are in force.
    Busy = 3,
    /// There is no motor device, or it did not start.
    Absent = 4,
    /// No steps, too many, too far ahead, too old, or faster than the motor may turn; or a configuration that
    /// contradicts itself.
    Invalid = 5,
    /// The driver answered with a number that it is not known to answer with.
    Unexpected = 6,
    /// The pump has not armed the interlock since power came: there is no allowance.
    NotArmed = 7,
    /// The armed allowance of the hour or the day would be passed.
    Allowance = 8,
}

/// What an answer of the C driver means: 0 is done, the numbers of motor.h are themselves, all others unexpected.
///
/// # Errors
///
/// Every number but 0.
pub const fn motor_result(answer: i32) -> Result<(), MotorError> {
    match answer {
        0 => Ok(()),
        bindings::THECAL_MOTOR_CEILING => Err(MotorError::Ceiling),
        bindings::THECAL_MOTOR_CLOSED => Err(MotorError::Closed),
        bindings::THECAL_MOTOR_BUSY => Err(MotorError::Busy),
        bindings::THECAL_MOTOR_ABSENT => Err(MotorError::Absent),
        bindings::THECAL_MOTOR_INVALID => Err(MotorError::Invalid),
        bindings::THECAL_MOTOR_NOT_ARMED => Err(MotorError::NotArmed),
        bindings::THECAL_MOTOR_ALLOWANCE => Err(MotorError::Allowance),
        i32::MIN..=-1 | 1..=i32::MAX => Err(MotorError::Unexpected),
    }
}

impl fmt::Display for MotorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ceiling => "the interlock's hard ceiling would be passed",
            Self::Closed => "the interlock is not open",
            Self::Busy => "two orders are held, or this one overlaps the one before it",
            Self::Absent => "no motor device is ready",
            Self::Invalid => "the order is outside what the motor can do",
            Self::Unexpected => "the motor driver answered with an unknown number",
            Self::NotArmed => "the interlock is not armed",
            Self::Allowance => "the interlock's armed allowance would be passed",
        })
    }
}

impl core::error::Error for MotorError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are a contract with C and with whoever logs them.
    #[test]
    fn every_errno_of_the_driver_has_its_name() {
        let table = [
            (0, Ok(())),
            (-1, Err(MotorError::Ceiling)),
            (-13, Err(MotorError::Closed)),
            (-16, Err(MotorError::Busy)),
            (-19, Err(MotorError::Absent)),
            (-22, Err(MotorError::Invalid)),
            (-2, Err(MotorError::NotArmed)),
            (-28, Err(MotorError::Allowance)),
        ];
        for (answer, meaning) in table {
            assert_eq!(motor_result(answer), meaning, "{answer}");
        }
        for answer in (-200..200).chain([i32::MIN, i32::MIN + 1, i32::MAX - 1, i32::MAX]) {
            if !table.iter().any(|(known, _)| *known == answer) {
                assert_eq!(
                    motor_result(answer),
                    Err(MotorError::Unexpected),
                    "{answer}"
                );
            }
        }
    }

    #[test]
    fn errors_are_numbered_from_one() {
        for (index, error) in [
            MotorError::Ceiling,
            MotorError::Closed,
            MotorError::Busy,
            MotorError::Absent,
            MotorError::Invalid,
            MotorError::Unexpected,
            MotorError::NotArmed,
            MotorError::Allowance,
        ]
        .into_iter()
        .enumerate()
        {
            #[allow(clippy::as_conversions, reason = "reads the discriminant")]
            let number = usize::from(error as u8);
            assert_eq!(number, index + 1);
        }
    }
}
